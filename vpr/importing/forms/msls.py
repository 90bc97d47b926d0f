"""Mapillary Street-Level Sequences (Warburg et al., CVPR 2020), as it is unpacked.

`train_val/CITY/{database,query}/` with `images/KEY.jpg`, `raw.csv` (longitude before latitude),
`postprocessed.csv`, `seq_info.csv`. The radius is that of its challenge.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vpr.importing.collection import Asked, Collection, LeftOut, Shot, Side
from vpr.importing.columns import number, read_rows, start_of
from vpr.importing.placing import APART_M, choose_crs, find_near, to_plane

WORDS = "Mapillary Street-Level Sequences, or one of its cities"
GIVES_WAY = False
RADIUS_M = 25
SIDES: tuple[Side, Side] = ("database", "query")
SAME_M = 1.0


def recognises(source: Path) -> bool:
    """Return whether a folder is the set, a part of it, or a city."""
    return bool(_cities(source))


def read(source: Path, asked: Asked) -> Collection:
    """Read one city, or several whose metres cannot be taken for near each other.

    Panoramas are left out, as in the set's own loader; its test cities have no positions.
    """
    cities = _cities(source)
    if asked.subset is not None:
        cities = {name: city for name, city in cities.items() if name == asked.subset}
        if not cities:
            raise ValueError(
                f"--subset {asked.subset}: expected one of {', '.join(_cities(source))}"
            )
    found = Collection(f"MSLS, {', '.join(cities)}", radius_m=RADIUS_M, crs=None)
    found.notes.append("headings are the set's column ca, which is taken for true north")
    systems = {}
    for name, city in cities.items():
        shots = [shot for side in SIDES for shot in _read_side(city, name, side, found.left_out)]
        found.shots += shots
        systems[name] = _find_system(city)
    if len(cities) == 1:
        (found.crs,) = systems.values()
    elif any(systems.values()):
        _require_apart(source, found.shots)
        found.notes.append("several cities, each in metres of its own UTM zone: there is no map")
    return found


def _cities(source: Path) -> dict[str, Path]:
    tables = [
        table
        for depth in ("query", "*/query", "*/*/query")
        for table in source.glob(f"{depth}/seq_info.csv")
    ]
    cities = sorted(table.parent.parent for table in tables)
    return {city.resolve().name: city for city in cities}


def _read_side(city: Path, name: str, side: Side, left_out: LeftOut) -> Iterator[Shot]:
    """Yield the photos of a side, recording after recording."""
    folder = city / side
    raw = {row["key"]: row for row in read_rows(folder / "raw.csv", ["key", "pano"])}
    metres = folder / "postprocessed.csv"
    placed = {row["key"]: row for row in read_rows(metres, ["key"])} if metres.exists() else {}
    order: dict[str, list[tuple[float, str]]] = {}
    for row in read_rows(folder / "seq_info.csv", ["key", "sequence_key", "frame_number"]):
        order.setdefault(row["sequence_key"], []).append((number(row["frame_number"]), row["key"]))
    for sequence, frames in order.items():
        for _, key in sorted(frames):
            facts = raw.get(key)
            image = folder / "images" / f"{key}.jpg"
            if facts is None or not image.is_file():
                left_out.add("without a row or an image", image)
            elif facts["pano"] == "True":
                left_out.add("panoramas", image)
            else:
                place = placed.get(key, {})
                east, north = (number(place.get(axis, "")) for axis in ("easting", "northing"))
                heading = number(facts.get("ca", ""))
                yield Shot(
                    f"{name}/{side}/{key}.jpg", image,
                    at=(east, north) if np.isfinite(east + north) else None,
                    time=start_of(*facts.get("captured_at", "").split("-")[:3]),
                    heading=heading % 360 if np.isfinite(heading) else None,
                    sequence=sequence, side=side,
                )  # fmt: skip


def _find_system(city: Path) -> str | None:
    """Find the UTM zone of a city's metres; None if it has no positions.

    Raises:
        ValueError: If longitude and latitude lie elsewhere than easting and northing.
    """
    folder = city / "database"
    degrees = {
        row["key"]: (number(row["lat"]), number(row["lon"]))
        for row in read_rows(folder / "raw.csv", ["key"])
        if "lat" in row
    }
    placed = [
        (degrees[row["key"]], (number(row["easting"]), number(row["northing"])))
        for row in read_rows(folder / "postprocessed.csv", ["key"])
        if row["key"] in degrees and "easting" in row
    ]
    if not placed:
        return None
    globe, metres = (np.array(part) for part in zip(*placed, strict=True))
    crs = choose_crs(globe)
    away = np.abs(to_plane(globe, source="EPSG:4326", target=crs) - metres).max()
    if not away < SAME_M:
        raise ValueError(
            f"{folder}: latitude and longitude are up to {away:.0f} m from easting and northing in "
            f"{crs}: is raw.csv of the same release as postprocessed.csv?"
        )
    return crs


def _require_apart(source: Path, shots: list[Shot]) -> None:
    """Refuse cities whose metres, of different zones, could be taken for near each other."""
    places: dict[str, list[tuple[float, float]]] = {}
    for shot in shots:
        if shot.at is not None:
            places.setdefault(shot.name.partition("/")[0], []).append(shot.at)
    near = find_near({name: np.array(those) for name, those in places.items()}, APART_M)
    if near is not None:
        raise ValueError(
            f"{source}: {near[0]} and {near[1]} are in different UTM zones, whose metres cannot be "
            f"compared: import one city at a time, as --subset {near[0]}"
        )
