"""Nordland: one railway in four seasons, whose films are aligned frame by frame.

A folder for each season, in which images of one name show one place. A place is the number of its
frame; how many frames apart still counts differs from protocol to protocol (docs/methods.md).
"""

from __future__ import annotations

import re
from pathlib import Path

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import Asked, Collection, Shot, Side
from vpr.importing.placing import natural_order, safe_name

WORDS = "Nordland: folders of seasons, aligned frame by frame"
GIVES_WAY = False
SEASONS = ("spring", "summer", "fall", "autumn", "winter")
DEFAULT = "summer-winter"


def recognises(source: Path) -> bool:
    """Return whether a folder has at least two seasons."""
    return len(_seasons(source)) > 1


def read(source: Path, asked: Asked) -> Collection:
    """Read two seasons; `asked.subset` names the database's and the queries', as winter-summer."""
    seasons = _seasons(source)
    chosen = (asked.subset or DEFAULT).split("-")
    if len(chosen) != 2 or not set(chosen) <= seasons.keys():
        raise ValueError(
            f"--subset {'-'.join(chosen)}: expected two of {', '.join(seasons)}, that of the "
            f"database first, as {DEFAULT}"
        )
    sides: dict[Side, Path] = {"database": seasons[chosen[0]], "query": seasons[chosen[1]]}
    images = {side: _images(folder) for side, folder in sides.items()}
    names = sorted(set().union(*images.values()), key=natural_order)
    found = Collection(f"Nordland, database {chosen[0]} and queries {chosen[1]}", crs=None)
    found.notes.append(
        "positions are frame numbers: set prepare.radius_m to the frames that a protocol allows"
    )
    for side, files in images.items():
        for frame, name in enumerate(names):
            if name in files:
                path = safe_name([side, *files[name].relative_to(sides[side]).parts])
                found.shots.append(Shot(path, files[name], at=(float(frame), 0.0), side=side))
            else:
                found.left_out.add(f"frames that the {side} season lacks (kept of the other)", name)
    return found


def _seasons(source: Path) -> dict[str, Path]:
    folders = [path for path in source.iterdir() if path.is_dir()] if source.is_dir() else []
    return {
        season: folder
        for season in SEASONS
        for folder in sorted(folders, reverse=True)
        if re.fullmatch(rf"{season}([^a-z].*)?", folder.name.lower())
    }


def _images(folder: Path) -> dict[str, Path]:
    """Find images by their path in the folder, without a suffix."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in READ_SUFFIXES)
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
