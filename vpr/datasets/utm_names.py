"""Data sets whose positions stand in the file names: `@easting@northing@...@.jpg`.

This is the form of the VPR datasets downloader and of the benchmark of Berton et al. (Deep Visual
Geo-localization Benchmark, CVPR 2022): two folders, `database` and `queries`, whose images are
taken in the order of their paths, compared as texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from vpr.datasets.form import Form
from vpr.datasets.ground_truth import GroundTruth
from vpr.images.file_kinds import READ_SUFFIXES, UNREAD_SUFFIXES, is_junk, tell_left_out
from vpr.places.index import ImageIndex

SIDES = ("database", "queries")
NUM_FIELDS = 14  # easting, northing, zone, letter, latitude, longitude, panorama, ..., note
NUM_ZONES = 60
BANDS = "CDEFGHJKLMNPQRSTUVWX"  # of latitude, from the south; N is the first north of the equator


def parse_utm_names(path: Path) -> GroundTruth:
    """List the images of both sides.

    Args:
        path: The database's folder; `queries` lies beside it. Subfolders are looked into.

    Returns:
        The images by their paths below the set's folder, sorted as texts, a note on files that
        are none, and the UTM zone if the names have it. Images in a format that is not read are
        listed too, so that a stage stops by their name.

    Raises:
        ValueError: If a side has no images, a name has no easting and northing, or the names are
            in more than one UTM zone.
    """
    root = path.parent
    (database, first_note), (query, other_note) = (_read_side(root, side) for side in SIDES)
    return GroundTruth(
        database, query, None, "@easting@northing@ names",
        notes=tuple(note for note in (first_note, other_note) if note),
        utm_zone=_common_zone(root, [*database.paths, *query.paths]),
    )  # fmt: skip


def utm_name(place: tuple[float, float], *, note: str, suffix: str) -> str:
    """Name an image after where it was taken.

    Args:
        place: Easting and northing in metres; every digit of them is kept.
        note: Text that makes the name unique, as its last field; an @ in it becomes a dash.
        suffix: `.jpg` or another.
    """
    fields = [repr(float(place[0])), repr(float(place[1])), *[""] * (NUM_FIELDS - 3)]
    return f"@{'@'.join(fields)}@{note.replace('@', '-')}@{suffix}"


def _read_side(root: Path, side: str) -> tuple[ImageIndex, str | None]:
    """Read the images by their paths below the set's folder, and a note on other files."""
    folder = root / side
    files = (path.relative_to(root) for path in folder.rglob("*") if not path.is_dir())
    names = [file for file in files if not is_junk(file)]
    images = sorted(file.as_posix() for file in names if _is_image(file))
    if not images:
        raise ValueError(f"{folder}: expected images named @easting@northing@...@.jpg")
    others = [file for file in names if not _is_image(file)]
    note = f"{folder}: left out {tell_left_out(others)}" if others else None
    return ImageIndex(images, np.array([_place(root / name) for name in images])), note


def _is_image(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in READ_SUFFIXES or (suffix in UNREAD_SUFFIXES and file.name.startswith("@"))


def _place(file: Path) -> tuple[float, float]:
    try:
        easting, northing = (float(field) for field in file.name.split("@")[1:3])
    except ValueError:
        easting = northing = math.nan
    if not (math.isfinite(easting) and math.isfinite(northing)):
        raise ValueError(
            f"{file}: expected a name @easting@northing@...@{file.suffix} with metres as numbers"
        )
    return easting, northing


def _common_zone(root: Path, names: Sequence[str]) -> str | None:
    """Find the one UTM zone of all names that have one, as 33N."""
    first: dict[str, str] = {}
    for name in names:
        zone = _zone(PurePosixPath(name).name)
        if zone is not None:
            first.setdefault(zone, name)
    if len(first) > 1:
        found = "; ".join(f"{zone}: {name}" for zone, name in sorted(first.items()))
        raise ValueError(
            f"{root}: the names are in {len(first)} UTM zones ({found}): metres of different zones "
            "cannot be compared: convert all to one zone with pyproj, or make one set for each"
        )
    return next(iter(first), None)


def _zone(name: str) -> str | None:
    """Read UTM zone and hemisphere of the third and fourth field; None if they hold neither."""
    number, band = (*name.split("@")[3:5], "", "")[:2]
    if not (number.isdecimal() and 1 <= int(number) <= NUM_ZONES and len(band) == 1):
        return None
    place = BANDS.find(band.upper())
    return None if place < 0 else f"{int(number)}{'N' if place >= BANDS.index('N') else 'S'}"


def _find(folder: Path) -> list[Path]:
    database = folder / SIDES[0]
    if not database.is_dir():
        return []
    named = (path.relative_to(folder) for path in database.rglob("@*"))
    return [database] if any(not is_junk(name) for name in named) else []


UTM_NAMES = Form(
    f"folders {' and '.join(SIDES)} of images named @easting@northing@...@.jpg", _find,
    parse_utm_names, is_one_file=False, gives_way=True,
)  # fmt: skip
