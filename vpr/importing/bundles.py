"""Files handed over as a folder or as a zip: read one by one, or unpacked as phones zip them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from vpr.console.progress import track
from vpr.images.file_kinds import is_junk
from vpr.importing.placing import number_name, safe_name
from vpr.places.photos import find_image, with_slashes
from vpr.runtime.artefacts import SCRATCH, require_space

MAX_FILE_BYTES = 64 << 20  # of one photo or table; nothing larger is unpacked
MOST_TIMES, SPARE_BYTES = 50, 2**26  # photos hardly shrink, and a table a few times


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
    with _opened_file(bundle, name) as file:
        return file.read()


@contextmanager
def _opened_file(bundle: Bundle, name: str) -> Iterator[IO[bytes]]:
    """Open a file of a bundle; one that is encrypted or damaged is a ValueError."""
    try:
        with bundle.open_file(name) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{bundle.source}: {name!r} cannot be unpacked: {error}") from None


def _sizes_in(folder: Path) -> dict[str, int]:
    files = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    return {
        name.as_posix(): file.stat().st_size for name, file in files.items() if not is_junk(name)
    }


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


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Unpack a .zip below `.scratch`, to the same place each time, and remove that at the end.

    Yields:
        Its only file or folder, or the folder of all; a source that is no .zip as it is.

    Raises:
        ValueError: If it is not a whole zip, holds links or paths that lead out of it, would grow
            beyond what photos can, or a file of it is encrypted or damaged.
        OSError: If the disk is too small.
    """
    if source.suffix.lower() != ".zip" or not source.is_file():
        yield source
        return
    found = source.stat()
    stamp = f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"
    room = SCRATCH / f"unpacked-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    shutil.rmtree(room, ignore_errors=True)
    try:
        with opened_bundle(source) as bundle:
            _unpack(bundle, room / source.stem)
        yield _only(room / source.stem)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _unpack(bundle: Bundle, folder: Path) -> None:
    packed, total = bundle.source.stat(), sum(bundle.sizes.values())
    if total > MOST_TIMES * packed.st_size + SPARE_BYTES:
        raise ValueError(
            f"{bundle.source}: would unpack to {total:,} bytes from {packed.st_size:,}, more "
            "than photos can: nothing is unpacked"
        )
    require_space(Path(), total)
    folder.mkdir(parents=True)
    for name in track(bundle.sizes, total=len(bundle.sizes), title=bundle.source.name):
        names = number_name(safe_name(PurePosixPath(name).parts))
        target = next(folder / name for name in names if not (folder / name).exists())
        target.parent.mkdir(parents=True, exist_ok=True)
        with _opened_file(bundle, name) as content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
        os.utime(
            target, ns=(packed.st_mtime_ns, packed.st_mtime_ns)
        )  # imports are recognised by it


def _only(place: Path) -> Path:
    """Descend while there is only one folder or file."""
    while place.is_dir() and len(inside := list(place.iterdir())) == 1:
        (place,) = inside
    return place
