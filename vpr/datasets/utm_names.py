"""Data sets whose positions are in the file names: `@easting@northing@...@.jpg`.

This is the form of the VPR datasets downloader and of the benchmark of Berton et al. (Deep Visual
Geo-localization Benchmark, CVPR 2022): two folders, `database` and `queries`, whose images are
taken in the order of their paths, compared as texts.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.utm_zones import read_zones
from vpr.images.file_kinds import READ_SUFFIXES, UNREAD_SUFFIXES, describe_left_out, is_junk
from vpr.places.index import FULL_CIRCLE_DEG, ImageIndex

SIDES = ("database", "queries")
NUM_FIELDS = 14  # easting, northing, zone, letter, latitude, longitude, panorama, ..., note
HEADING = 9  # field of the heading, degrees clockwise from true north


def parse_utm_names(path: Path) -> GroundTruth:
    """List the images of both sides.

    Args:
        path: The database's folder; `queries` lies beside it. Subfolders are looked into.

    Returns:
        The images by their paths below the set's folder, sorted as texts, a note on files that
        are none, and the UTM zone if the names have it. Images in a format that is not read are
        listed too, so that a stage stops by their name. What of a name contradicts its
        coordinates is noted, and then no zone is taken from the names.

    Raises:
        ValueError: If a side has no images, a name has no easting and northing, or metres of
            different UTM zones would be compared.
    """
    root = path.parent
    (database, first_note), (query, other_note) = (_read_side(root, side) for side in SIDES)
    zones, zone_note = read_zones(
        root, [*database.paths, *query.paths],
        np.concatenate([database.coordinates, query.coordinates]),
    )  # fmt: skip
    notes = (first_note, other_note, zone_note)
    return GroundTruth(
        database, query, None, "@easting@northing@ names",
        notes=tuple(note for note in notes if note), utm_zones=zones,
    )  # fmt: skip


def write_numbers(values: NDArray[np.float64]) -> list[str]:
    """Write numbers such that they sort as texts as they do as numbers, but for negative ones.

    Args:
        values: Every digit of them is kept.
    """
    texts = [f"{Decimal(repr(float(value))):f}" for value in values]
    parts = [text.lstrip("-").partition(".")[::2] for text in texts]
    whole, fraction = (max(len(part[half]) for part in parts) for half in (0, 1))
    return [
        f"{'-' * text.startswith('-')}{before.rjust(whole, '0')}.{after.ljust(fraction, '0')}"
        for text, (before, after) in zip(texts, parts, strict=True)
    ]


def utm_name(easting: str, northing: str, *, heading: float, note: str, suffix: str) -> str:
    """Name an image after where it was taken.

    Args:
        easting: Easting in metres, as `write_numbers` writes it.
        northing: Likewise.
        heading: Degrees from true north; NaN: unknown.
        note: Text that makes the name unique, as its last field; an @ in it becomes a dash.
        suffix: `.jpg` or another.
    """
    fields = [easting, northing, *[""] * (NUM_FIELDS - 3)]
    fields[HEADING - 1] = "" if math.isnan(heading) else f"{heading:g}"
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
    notes = [f"{folder}: left out {describe_left_out(others)}"] if others else []
    heading = np.array([_heading(name) for name in images])
    unread = [name for name, deg in zip(images, heading, strict=True) if math.isinf(deg)]
    if unread:
        notes.append(f"field {HEADING} of {len(unread)} names is no heading (first {unread[0]!r})")
    heading[np.isinf(heading)] = np.nan
    places = np.array([_place(root / name) for name in images])
    known = None if np.isnan(heading).all() else heading
    return ImageIndex(images, places, heading=known), "; ".join(notes) or None


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


def _heading(name: str) -> float:
    """Read the heading of a name: NaN if it has none, infinite if it is no number of degrees."""
    field = ([*PurePosixPath(name).name.split("@"), *[""] * HEADING])[HEADING].strip()
    try:
        heading = float(field or "nan")
    except ValueError:
        return math.inf
    return math.inf if abs(heading) > FULL_CIRCLE_DEG else heading % FULL_CIRCLE_DEG


def find_utm_names(folder: Path) -> list[Path]:
    """Find the folder `database`, if it has images named by their places."""
    database = folder / SIDES[0]
    if not database.is_dir():
        return []
    named = (path.relative_to(folder) for path in database.rglob("@*"))
    return [database] if any(not is_junk(name) for name in named) else []
