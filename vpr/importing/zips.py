"""Sources in a .zip, as phones and Google Takeout hand them over, unpacked file by file."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from vpr.console.progress import track
from vpr.importing.bundles import Bundle, opened_bundle
from vpr.importing.planning import number_name, safe_name
from vpr.runtime.artefacts import SCRATCH, require_space

MOST_TIMES, SPARE_BYTES = 50, 2**26  # photos hardly shrink, and a table a few times


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
            _unpack(bundle, room / source.stem, size=found.st_size, time_ns=found.st_mtime_ns)
        yield _only(room / source.stem)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _unpack(bundle: Bundle, folder: Path, *, size: int, time_ns: int) -> None:
    total = sum(bundle.sizes.values())
    if total > MOST_TIMES * size + SPARE_BYTES:
        raise ValueError(
            f"{bundle.source}: would unpack to {total:,} bytes from {size:,}, which photos cannot: "
            "nothing is unpacked"
        )
    require_space(Path(), total)
    folder.mkdir(parents=True)
    for name in track(bundle.sizes, total=len(bundle.sizes), title=bundle.source.name):
        names = number_name(safe_name(PurePosixPath(name).parts))
        target = next(folder / name for name in names if not (folder / name).exists())
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with bundle.open_file(name) as packed, target.open("xb") as file:
                shutil.copyfileobj(packed, file)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ValueError(f"{bundle.source}: {name!r} cannot be unpacked: {error}") from None
        os.utime(target, ns=(time_ns, time_ns))  # imports are recognised by it


def _only(place: Path) -> Path:
    """Descend while there is only one folder or file."""
    while place.is_dir() and len(inside := list(place.iterdir())) == 1:
        (place,) = inside
    return place
