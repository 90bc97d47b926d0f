"""Files handed over as a folder or as a zip, by their path in it."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from vpr.images.file_kinds import is_junk
from vpr.places.photos import find_image, with_slashes

MAX_FILE_BYTES = 64 << 20  # of one photo or table; nothing larger is unpacked


@dataclass(frozen=True)
class Bundle:
    """A folder or an opened zip.

    Args:
        source: Path of the bundle.
        sizes: Bytes of each file when unpacked, by its path in the bundle, with slashes.
        open_file: Opens a file by that path, to read bytes.
    """

    source: Path
    sizes: Mapping[str, int]
    open_file: Callable[[str], IO[bytes]]


@contextmanager
def opened_bundle(path: Path) -> Iterator[Bundle]:
    """Open a folder or a zip.

    Nothing is unpacked: `read_file` gives the bytes of one file, so no name in a zip decides
    where something is written. What systems lay beside a person's files is left out.

    Args:
        path: The folder or zip.

    Yields:
        What is in it.

    Raises:
        FileNotFoundError: If there is nothing at that path.
        ValueError: If it is neither, or a zip with a path that leads out of it.
    """
    if path.is_dir():
        yield Bundle(path, _sizes_in(path), lambda name: find_image(path, name).open("rb"))
        return
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such folder or zip")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        with path.open("rb") as file:
            start = file.read(16)
        raise ValueError(
            f"{path}: expected a folder or a whole zip, found a file that starts with {start!r} "
            "(a download that was cut off, or a web page saved in its place?)"
        ) from None
    with archive:
        entries = _entries_of(path, archive)
        sizes = {name: entry.file_size for name, entry in entries.items()}
        yield Bundle(path, sizes, lambda name: archive.open(entries[name]))


def read_file(bundle: Bundle, name: str) -> bytes:
    """Read the bytes of one file of a bundle.

    Args:
        bundle: The folder or zip.
        name: The file's path in it.

    Raises:
        ValueError: If the file is larger than any photo, encrypted or damaged.
    """
    if bundle.sizes[name] > MAX_FILE_BYTES:
        raise ValueError(
            f"{bundle.source}: {name!r} would have {bundle.sizes[name]} bytes, more than a photo "
            f"or table can have ({MAX_FILE_BYTES}), and is not unpacked"
        )
    try:
        with bundle.open_file(name) as file:
            return file.read()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{bundle.source}: {name!r} cannot be unpacked: {error}") from None


def _sizes_in(folder: Path) -> dict[str, int]:
    sizes = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_junk(Path(name))]
        for file in (Path(place) / name for name in names):
            if file.is_file() and not is_junk(Path(file.name)):
                sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
    return sizes


def _entries_of(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """List the files of a zip by their paths, with slashes also where Windows wrote others."""
    entries = {}
    for entry in archive.infolist():
        name = PurePosixPath(with_slashes(entry.filename))
        if ".." in name.parts or name.is_absolute():
            raise ValueError(
                f"{path}: {entry.filename!r} leads out of the zip: nothing is unpacked"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{path}: {entry.filename!r} is a link: nothing is unpacked")
        is_folder = entry.filename.endswith(("/", "\\"))
        if not is_folder and name.parts and not is_junk(name):
            entries[name.as_posix()] = entry
    return entries
