"""Photos that a person names: files, or folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpr.images import SUFFIXES

KNOWN = {*SUFFIXES.values(), ".jpeg", ".tiff"}


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """The files, and for each folder the images in it by name; folders inside are not entered.

    Raises:
        ValueError: If a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in KNOWN)
            if not inside:
                raise ValueError(f"{path}: holds no images ({', '.join(sorted(KNOWN))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"{path}: there is no such photo or folder")
    return found
