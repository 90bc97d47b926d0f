"""A folder of photos with positions in their EXIF data, or one such photo."""

from __future__ import annotations

from pathlib import Path

from vpr.images.file_kinds import READ_SUFFIXES, is_junk
from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.planning import safe_name

WORDS = "a folder of photos"
GIVES_WAY = True


def recognises(source: Path) -> bool:
    """Return whether a source is a photo, or a folder with one."""
    return any(True for _ in _list_photos(source))


def read(source: Path, asked: Asked) -> Collection:
    """Read photos with their EXIF data, or that of files beside them."""
    found = Collection(WORDS)
    for path in _list_photos(source):
        name = safe_name([source.name, *path.relative_to(source).parts])
        found.shots.append(Shot(name, path))
    return found


def _list_photos(source: Path) -> list[Path]:
    files = source.rglob("*") if source.is_dir() else [source]
    return sorted(
        file for file in files
        if file.suffix.lower() in READ_SUFFIXES and not is_junk(file.relative_to(source))
    )  # fmt: skip
