"""Writing the outs of a stage: by one process at a time, built aside, checked, renamed last."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SCRATCH = Path(".scratch")
HALF = ".new"  # end of the name of a file that is being written
UNKEYED = "building"  # where an out without a key is built


@contextmanager
def built_aside(*outs: Path, key: str | None = None) -> Iterator[tuple[Path, ...]]:
    """Paths to build the outs of one stage at, moved into place together when the block succeeds.

    A stage that is killed or fails leaves no half-written out that DVC could take for a whole one:
    what it built lies in `.scratch`, which git and DVC ignore. It is removed on failure, or by the
    next run after a kill. Only with a key does it stay: a run with the same key finds it at its
    paths, and leftovers of other keys are removed.

    Args:
        outs: The final paths, files or folders, below the current folder.
        key: Key of work that can be continued, see `vpr.runtime.resuming`; None: always from the
            start.

    Yields:
        One path per out to create the file or folder at; its parent folder exists.

    Raises:
        OSError: If another process is making these outs.
        ValueError: If the block ended without making one of the outs, or left a file empty.
    """
    with claimed(outs[0]) as room:
        workshop = room / (key or UNKEYED)
        _clear(room, but=key)
        places = tuple(workshop / str(number) / out.name for number, out in enumerate(outs))
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield places
            for place, out in zip(places, outs, strict=True):
                _check_built(place, out)
            for place, out in zip(places, outs, strict=True):
                _replace(place, out)
            shutil.rmtree(room)
        finally:
            _clear(room, but=key)


@contextmanager
def replaced_whole(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write that replaces the path once it is complete and on the disk.

    If the block fails, the file is removed and the path stays as it was.
    """
    aside = path.with_name(f"{path.name}{HALF}")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def link_file(file: Path, path: Path) -> None:
    """Give a file a second name, or copy it whole where the disk has no links."""
    try:
        os.link(file, path)
    except FileNotFoundError:
        raise
    except OSError:
        with file.open("rb") as source, replaced_whole(path) as copy:
            shutil.copyfileobj(source, copy)


def running_outs(scratch: Path = SCRATCH) -> dict[str, int]:
    """List the outs that are being made now, with the process that makes each."""
    locks = {path: _lock(path) for path in scratch.glob("*.lock")}
    for file in filter(None, locks.values()):
        file.close()
    return {path.stem: _owner(path) for path, file in locks.items() if file is None}


@contextmanager
def claimed(out: Path) -> Iterator[Path]:
    """Claim an out, for one process at a time, and yield its folder in `.scratch`.

    Raises:
        OSError: If another process has it.
    """
    SCRATCH.mkdir(exist_ok=True)
    room = SCRATCH / out.as_posix().replace("/", ".")
    path = room.with_name(f"{room.name}.lock")
    lock = _lock(path)
    if lock is None:
        raise OSError(
            f"{out}: process {_owner(path)} is making it, perhaps left behind by an earlier run: "
            f"wait for it, or end it with `kill {_owner(path)}`"
        )
    with lock:
        path.write_text(str(os.getpid()))
        try:
            yield room
        finally:
            if not room.exists():
                path.unlink()


def _lock(path: Path) -> IO[str] | None:
    """Lock a file until it is closed or this process ends; None if another has the lock.

    Not by `filelock`: the file also holds its process's id for others, and is removed at the end.
    """
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return file
        file.close()  # its previous owner removed this file as it ended: make another


def _owner(path: Path) -> int:
    return int(path.read_text() or 0)


def _clear(room: Path, *, but: str | None) -> None:
    for other in room.iterdir() if room.exists() else ():
        if other.name != but:
            shutil.rmtree(other)
    if room.exists() and not any(room.iterdir()):
        room.rmdir()


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
    """Check that a folder's disk can hold an artefact twice: as an out and in DVC's cache.

    Raises:
        OSError: If it cannot.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * num_bytes:
        raise OSError(
            f"{folder.resolve()}: {2 * num_bytes / 1e9:.3g} GB are needed (the out and its copy in "
            f"DVC's cache), {free / 1e9:.3g} GB are free: make room, or see `dvc gc --help`"
        )
