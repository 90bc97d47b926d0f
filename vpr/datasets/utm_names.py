"""Data sets whose positions stand in the file names: `@easting@northing@...@.jpg`.

This is the form of the VPR datasets downloader and of the benchmark of Berton et al. (Deep Visual
Geo-localization Benchmark, CVPR 2022): two folders, `database` and `queries`, whose images are
taken in the order of their paths.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from vpr.places.index import ImageIndex

SIDES = ("database", "queries")
NUM_FIELDS = 14  # easting, northing, zone, letter, latitude, longitude, panorama, ..., note
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".bmp", ".ppm")


def parse_utm_names(root: Path, side: str) -> ImageIndex:
    """List the images of one side.

    Args:
        root: The data set's folder.
        side: The name of a folder in it; subfolders are looked into.

    Returns:
        The images by their paths below `root`, sorted.

    Raises:
        ValueError: If the folder has no images, or a name has no easting and northing.
    """
    files = sorted(path for path in (root / side).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{root / side}: expected images named @easting@northing@...@.jpg")
    names = [file.relative_to(root).as_posix() for file in files]
    return ImageIndex(names, np.array([_place(file) for file in files]))


def utm_name(place: tuple[float, float], *, note: str, suffix: str) -> str:
    """Name of an image after where it was taken.

    Args:
        place: Easting and northing in metres; every digit of them is kept.
        note: Text that makes the name unique, as its last field; an @ in it becomes a dash.
        suffix: `.jpg` or another.
    """
    fields = [repr(float(place[0])), repr(float(place[1])), *[""] * (NUM_FIELDS - 3)]
    return f"@{'@'.join(fields)}@{note.replace('@', '-')}@{suffix}"


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
