"""Photos that a person names: files, or folders of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vpr.images.file_kinds import READ, READ_SUFFIXES, describe_left_out, is_junk


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """Find photos: the files, and the images in each folder by name, without its folders.

    What else a folder holds is counted on standard error.

    Raises:
        ValueError: If a path is no file, a folder holds no image, or a name is not UTF-8: no
            table, page or JSON could hold it.
    """
    found = [photo for path in paths for photo in (_inside(path) if path.is_dir() else [path])]
    for photo in found:
        if not photo.is_file():
            raise ValueError(f"{photo}: there is no such photo or folder")
    others = [repr(str(photo)) for photo in found if not _is_utf8(str(photo))]
    if others:
        raise ValueError(
            f"{', '.join(others)}: expected names in UTF-8, in which tables and pages are "
            "written: rename files whose names contain \\udc80 to \\udcff"
        )
    return found


def _inside(folder: Path) -> list[Path]:
    # What is a broken link stays, and is refused by name.
    files = [file for file in folder.iterdir() if not (is_junk(Path(file.name)) or file.is_dir())]
    photos = sorted(file for file in files if file.suffix.lower() in READ_SUFFIXES)
    others = [file for file in files if file.suffix.lower() not in READ_SUFFIXES]
    if not photos:
        found = f"left out {describe_left_out(others)}" if others else f"only {READ} are read"
        raise ValueError(f"{folder}: holds no images: {found}")
    if others:
        print(f"NOTE {folder}: left out {describe_left_out(others)}", file=sys.stderr)
    return photos


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
