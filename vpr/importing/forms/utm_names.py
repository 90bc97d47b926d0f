"""Folders of images named `@easting@northing@zone@letter@...@heading@...@`, as of SF-XL.

The pipeline reads `database` and `queries` of one zone as they are. This form also takes sets of
several zones, the folders of SF-XL, and sets that are still to be split.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import DEGREES, Asked, Collection, Shot, Side
from vpr.importing.columns import number
from vpr.importing.plane import to_degrees
from vpr.importing.planning import safe_name

WORDS = "images named @easting@northing@...@ (SF-XL, the VPR datasets downloader)"
GIVES_WAY = False
EAST, NORTH, ZONE, LETTER, LATITUDE, LONGITUDE, HEADING, TIME = 1, 2, 3, 4, 5, 6, 9, 13
NUM_FIELDS = 15
FIRST_NORTHERN_BAND = "N"
SAME_DEG = 0.02  # 2 km: a letter N or S for the hemisphere puts places on the other one


def recognises(source: Path) -> bool:
    """Return whether a folder, or one of its first subfolders, has such a name."""
    folders = [source, *(path for path in (source / "database", source / "test/database"))]
    folders += [source / "train"]
    return any(next(folder.glob("**/@*@*@*"), None) is not None for folder in folders[1:]) or (
        source.is_dir() and next(source.glob("@*@*@*"), None) is not None
    )


def read(source: Path, asked: Asked) -> Collection:
    """Read a set; `asked.subset` names one of its folders, as test or queries_v1.

    Photos below folders `database` and `queries...` are of that side.
    """
    found = Collection("@easting@northing@ names", crs=asked.crs)
    rows = []
    for file in sorted(path for path in source.rglob("@*") if path.is_file()):
        path = file.relative_to(source)
        fields = [*file.name.split("@"), *[""] * NUM_FIELDS][:NUM_FIELDS]
        place = number(fields[EAST]), number(fields[NORTH])
        if not _is_asked(path, asked.subset):
            continue
        if file.suffix.lower() not in READ_SUFFIXES:
            found.left_out.add("of a format that is not read", path)
        elif not np.isfinite(place).all():
            found.left_out.add("without an easting and northing in the name", path)
        else:
            rows.append((file, path, fields, place))
    queries = {path.parts[_part(path, "quer")] for _, path, _, _ in rows if _side(path) == "query"}
    if len(queries) > 1:
        raise ValueError(
            f"{source}: several folders of queries ({', '.join(sorted(queries))}): choose by "
            "--subset"
        )
    zones = [_zone(fields) for _, _, fields, _ in rows]
    if all(zones) and asked.crs is None:
        found.crs = zones[0] if len(set(zones)) == 1 else DEGREES
    for zone, (file, path, fields, place) in zip(zones, rows, strict=True):
        heading = number(fields[HEADING])
        at = place if zone is None or found.crs != DEGREES else _globe(source, zone, fields, place)
        found.shots.append(
            Shot(
                safe_name(path.parts), file, at=at, time=_time(fields[TIME]), side=_side(path),
                heading=heading % 360 if abs(heading) <= 360 else None,
            )
        )  # fmt: skip
    return found


def _is_asked(path: Path, subset: str | None) -> bool:
    """Return whether a photo is of the subset; a subset of queries leaves the database as it is."""
    if subset is None or subset in path.parts:
        return True
    return subset.startswith("quer") and _side(path) == "database"


def _part(path: Path, start: str) -> int:
    return next((n for n, part in enumerate(path.parts[:-1]) if part.startswith(start)), -1)


def _side(path: Path) -> Side | None:
    if _part(path, "quer") >= 0:
        return "query"
    return "database" if "database" in path.parts[:-1] else None


def _zone(fields: list[str]) -> str | None:
    """The reference system of a name's zone and band of latitude; None if it names none."""
    zone, letter = fields[ZONE], fields[LETTER].upper()
    if not (zone.isdecimal() and 1 <= int(zone) <= 60 and len(letter) == 1):
        return None
    return f"EPSG:{(32_600 if letter >= FIRST_NORTHERN_BAND else 32_700) + int(zone)}"


def _globe(
    source: Path, zone: str, fields: list[str], place: tuple[float, float]
) -> tuple[float, float]:
    """Latitude and longitude of a place, which must be those in its name, if it has them."""
    latitude, longitude = to_degrees(np.array([place]), source=zone)[0].tolist()
    told = number(fields[LATITUDE]), number(fields[LONGITUDE])
    if np.isfinite(told).all() and abs(told[0] - latitude) > SAME_DEG:
        raise ValueError(
            f"{source}: {'@'.join(fields)!r}: easting and northing lie at latitude {latitude:.4f} "
            f"in {zone}: give the zone by --crs"
        )
    return latitude, longitude


def _time(text: str) -> float | None:
    """Read a timestamp: a year and month, or a day, as SF-XL and Mapillary's images have them."""
    digits = "".join(letter for letter in text if letter.isdigit())
    for length, form in ((8, "%Y%m%d"), (6, "%Y%m"), (4, "%Y")):
        if len(digits) >= length:
            try:
                return datetime.strptime(digits[:length], form).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
    return None
