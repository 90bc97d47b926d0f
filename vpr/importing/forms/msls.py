"""Mapillary Street-Level Sequences (Warburg et al., CVPR 2020), as it is unpacked.

`train_val/CITY/{database,query}/` with `images/KEY.jpg`, `raw.csv` (longitude before latitude),
`postprocessed.csv`, `seq_info.csv`. The radius is that of its challenge.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.importing.collection import DEGREES, Asked, Collection, Shot, Side
from vpr.importing.columns import number, read_rows, start_of
from vpr.importing.placing import APART_M, choose_crs, find_near, to_plane

WORDS = "Mapillary Street-Level Sequences, or one of its cities"
GIVES_WAY = False
RADIUS_M = 25
SIDES: tuple[Side, Side] = ("database", "query")
SAME_M = 1.0

Facts = dict[str, dict[str, str]]  # rows of the photos of a side, by key


def recognises(source: Path) -> bool:
    """Return whether a folder is the set, a part of it, or a city."""
    return bool(_cities(source))


def read(source: Path, asked: Asked) -> Collection:
    """Read one city, or several whose metres cannot be taken for near each other.

    Panoramas are left out, as in the set's own loader; its test cities have no positions.
    """
    cities = _cities(source)
    if asked.subset is not None:
        name = asked.choose_part(source, cities, kind="cities")
        cities = {name: cities[name]}
    found = Collection(f"MSLS, {', '.join(cities)}", radius_m=RADIUS_M, crs=None)
    found.notes.append("headings are the set's column ca, which is taken for true north")
    places: dict[str, NDArray[np.float64]] = {}  # of cities with positions
    for name, city in cities.items():
        facts = {side: _read_facts(city / side) for side in SIDES}
        shots = [shot for side in SIDES for shot in _read_side(found, city, side, facts[side])]
        found.shots += shots
        at = np.array([shot.at for shot in shots if shot.at])
        if len(at):
            places[name] = at
            found.crs = _find_system(city, facts["database"])
    if len(places) > 1:
        near = find_near(places, APART_M)
        if near is not None:
            raise ValueError(
                f"{source}: {near[0]} and {near[1]} are in different UTM zones, whose metres "
                f"cannot be compared: import one city at a time, as --subset {near[0]}"
            )
        found.crs = None
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


def _read_facts(folder: Path) -> Facts:
    """Read the rows of both tables of a side's photos, by key."""
    facts = {row["key"]: row for row in read_rows(folder / "raw.csv", ["key", "pano"])}
    metres = folder / "postprocessed.csv"
    for row in read_rows(metres, ["key"]) if metres.exists() else ():
        facts.get(row["key"], {}).update(row)
    return facts


def _read_side(found: Collection, city: Path, side: Side, facts: Facts) -> Iterator[Shot]:
    """Yield the photos of a side, recording after recording."""
    folder = city / side
    order: dict[str, list[tuple[float, str]]] = {}
    for row in read_rows(folder / "seq_info.csv", ["key", "sequence_key", "frame_number"]):
        order.setdefault(row["sequence_key"], []).append((number(row["frame_number"]), row["key"]))
    for sequence, frames in order.items():
        for _, key in sorted(frames):
            row = facts.get(key, {})
            image = folder / "images" / f"{key}.jpg"
            if not row or not image.is_file():
                found.left_out.add("without a row or an image", image)
            elif row["pano"] == "True":
                found.left_out.add("panoramas", image)
            else:
                east, north = (number(row.get(axis)) for axis in ("easting", "northing"))
                heading = number(row.get("ca"))
                yield Shot(
                    f"{city.resolve().name}/{side}/{key}.jpg", image,
                    at=(east, north) if np.isfinite(east + north) else None,
                    time=start_of(row.get("captured_at", "")),
                    heading=heading % 360 if np.isfinite(heading) else None,
                    sequence=sequence, side=side,
                )  # fmt: skip


def _find_system(city: Path, facts: Facts) -> str | None:
    """Find the UTM zone of a city's metres; None where no photo has them and degrees.

    Raises:
        ValueError: If longitude and latitude lie elsewhere than easting and northing.
    """
    columns = ("lat", "lon", "easting", "northing")
    places = np.array([[number(row.get(name)) for name in columns] for row in facts.values()])
    places = places[np.isfinite(places).all(axis=1)]
    if not len(places):
        return None
    crs = choose_crs(places[:, :2])
    away = np.abs(to_plane(places[:, :2], source=DEGREES, target=crs) - places[:, 2:]).max()
    if not away < SAME_M:
        raise ValueError(
            f"{city}: latitude and longitude are up to {away:.0f} m from easting and northing in "
            f"{crs}: is raw.csv of the same release as postprocessed.csv?"
        )
    return crs
