"""Writing the outs of a stage: built aside, checked, renamed last."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH = Path(".scratch")


@contextmanager
def built_aside(*outs: Path) -> Iterator[tuple[Path, ...]]:
    """Paths to build the outs of one stage at, moved into place together when the block succeeds.

    A stage that is killed or fails leaves no half-written out that DVC could take for a whole
    one: what it built lies in `.scratch`, which git and DVC ignore, and is removed on failure.

    Args:
        outs: The final paths, files or folders, below the current folder.

    Yields:
        One path per out to create the file or folder at; its parent folder exists.

    Raises:
        ValueError: If the block ended without making one of the outs, or left a file empty.
    """
    SCRATCH.mkdir(exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix="building-", dir=SCRATCH))
    try:
        places = tuple(workshop / str(number) / out.name for number, out in enumerate(outs))
        for place in places:
            place.parent.mkdir()
        yield places
        for place, out in zip(places, outs, strict=True):
            _check_built(place, out)
        for place, out in zip(places, outs, strict=True):
            _replace(place, out)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _check_built(place: Path, out: Path) -> None:
    if not place.exists():
        raise ValueError(f"{out}: the stage ended without making this out")
    if place.is_file() and place.stat().st_size == 0:
        raise ValueError(f"{out}: the stage made this out, but left it empty")


def _replace(place: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        shutil.rmtree(out)
    place.replace(out)


def require_space(folder: Path, num_bytes: int) -> None:
    """Check that a disk holds an artefact twice: as an out, and as DVC's copy in the cache.

    Args:
        folder: A folder on that disk.
        num_bytes: Size of the artefact.

    Raises:
        OSError: If it does not.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * num_bytes:
        raise OSError(
            f"{folder.resolve()}: {2 * num_bytes / 1e9:.2f} GB are needed (the out and its copy in "
            f"DVC's cache), {free / 1e9:.2f} GB are free: make room, or see `dvc gc --help`"
        )
