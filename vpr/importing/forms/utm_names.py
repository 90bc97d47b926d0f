"""Folders of images named `@easting@northing@zone@letter@...@heading@...@`, as of SF-XL.

The pipeline reads `database` and `queries` of one zone as they are. This form also takes sets of
several zones, the folders of SF-XL, and sets that are still to be split.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import DEGREES, Asked, Collection, LeftOut, Shot, Side
from vpr.importing.columns import number, start_of
from vpr.importing.placing import APART_DEG, APART_M, find_near, safe_name, to_degrees

WORDS = "images named @easting@northing@...@ (SF-XL, the VPR datasets downloader)"
GIVES_WAY = False
EAST, NORTH, ZONE, LETTER, LATITUDE, HEADING, TIME = 1, 2, 3, 4, 5, 9, 13
NUM_FIELDS = 15
FIRST_NORTHERN_BAND = "N"
SAME_DEG = 0.02  # 2 km: a letter N or S for the hemisphere puts places on the other one


def recognises(source: Path) -> bool:
    """Return whether a folder, or one of its first subfolders, has such a name."""
    folders = [source / name for name in ("database", "test/database", "train")]
    names = chain(source.glob("@*@*@*"), *(folder.rglob("@*@*@*") for folder in folders))
    return source.is_dir() and next(names, None) is not None


def read(source: Path, asked: Asked) -> Collection:
    """Read a set; `asked.subset` names one of its folders, as test or queries_v1.

    Photos below folders `database` and `queries...` are of that side.
    """
    found = Collection("@easting@northing@ names", crs=asked.crs)
    files = (file.relative_to(source) for file in source.rglob("@*") if file.is_file())
    # Names are split twice rather than kept split: SF-XL has 2.8 million.
    paths = sorted(path for path in files if _is_asked(path, asked.subset))
    paths = [path for path in paths if _is_read(path, found.left_out)]
    _require_one_split(source, paths)
    zones = {_zone(_fields(path)) for path in paths}
    if None not in zones and asked.crs is None:
        found.crs = zones.pop() if len(zones) == 1 else DEGREES
        if found.crs == DEGREES and _lie_apart(paths):
            found.crs = None
            found.notes.append(
                "several regions, each in metres of its own UTM zone: there is no map"
            )
    for path in paths:
        fields = _fields(path)
        zone, heading, at = _zone(fields), number(fields[HEADING]), _place(fields)
        if zone is not None and found.crs == DEGREES:
            at = _globe(source, zone, fields)
        found.shots.append(
            Shot(
                safe_name(path.parts), source / path, at=at, time=start_of(fields[TIME]),
                heading=heading % 360 if abs(heading) <= 360 else None, side=_side(path),
            )
        )  # fmt: skip
    return found


def _place(fields: list[str]) -> tuple[float, float]:
    """Easting and northing of a name."""
    return number(fields[EAST]), number(fields[NORTH])


def _fields(path: Path) -> list[str]:
    return [*path.name.split("@"), *[""] * NUM_FIELDS][:NUM_FIELDS]


def _is_read(path: Path, left_out: LeftOut) -> bool:
    if path.suffix.lower() not in READ_SUFFIXES:
        left_out.add("of a format that is not read", path)
    elif not np.isfinite(_place(_fields(path))).all():
        left_out.add("without an easting and northing in the name", path)
    else:
        return True
    return False


def _lie_apart(paths: list[Path]) -> bool:
    """Return whether zones are too far apart for their metres to be taken for near each other."""
    places: dict[str, list[tuple[float, float]]] = {}
    for fields in map(_fields, paths):
        places.setdefault(str(_zone(fields)), []).append(_place(fields))
    plane = {zone: np.array(those) for zone, those in places.items()}
    globe = {zone: to_degrees(those, source=zone) for zone, those in plane.items()}
    return find_near(plane, APART_M) is None and find_near(globe, APART_DEG) is None


def _require_one_split(source: Path, paths: list[Path]) -> None:
    for side, start in (("database", "database"), ("query", "quer")):
        folders = {
            "/".join(path.parts[: _part(path, start) + 1]) for path in paths if _side(path) == side
        }
        if len(folders) > 1:
            raise ValueError(
                f"{source}: several folders of one side ({', '.join(sorted(folders))}): name the "
                "folder of one split, and of several folders of queries one by --subset"
            )


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


def _globe(source: Path, zone: str, fields: list[str]) -> tuple[float, float]:
    """Latitude and longitude of a place; its latitude must be that in its name, if it has one."""
    latitude, longitude = to_degrees(np.array([_place(fields)]), source=zone)[0].tolist()
    if abs(number(fields[LATITUDE]) - latitude) > SAME_DEG:
        raise ValueError(
            f"{source}: {'@'.join(fields)!r}: easting and northing lie at latitude {latitude:.4f} "
            f"in {zone}: give the zone by --crs"
        )
    return latitude, longitude
