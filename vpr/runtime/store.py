"""Results that are found again by their content: a folder of bounded size, to delete at any time.

A key is a hash of everything that a value was computed from, so an entry is right for ever or
damaged, and nothing else depends on whether it is there. Any number of processes share the folder.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = "VPR_STORE_GB"  # not a parameter: results do not depend on it
USUAL_GB = "6"  # holds the values of 10,000 photos with the usual parameters
FOLDER = Path(".dvc/tmp/vpr")  # of the repository; git and DVC ignore it
EXPERIMENTS = (".dvc", "tmp", "exps")  # below it are the copies that `dvc exp run --temp` works in
CHECK_BYTES = 16
BLOCK_BYTES = 4096  # of most file systems


def content_key(*parts: bytes) -> str:
    """Hash what a value was computed from; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def pack_arrays(*arrays: NDArray[Any]) -> bytes:
    """Pack arrays of any shapes and types into one value."""
    stream = io.BytesIO()
    for array in arrays:
        np.save(stream, array)
    return stream.getvalue()


def unpack_arrays(value: bytes) -> list[NDArray[Any]]:
    """Give the arrays that `pack_arrays` packed."""
    stream, arrays = io.BytesIO(value), []
    while stream.tell() < len(value):
        arrays.append(np.load(stream))
    return arrays


def size_kept(value: bytes) -> int:
    """Bytes on the disk that a value takes in a store."""
    return -(-(len(value) + CHECK_BYTES) // BLOCK_BYTES) * BLOCK_BYTES


def open_store() -> Store | None:
    """Open the store of the repository that is the current folder, or a copy that DVC made of it.

    Returns:
        The store; None if `VPR_STORE_GB` is 0, or outside a DVC repository.

    Raises:
        ValueError: If `VPR_STORE_GB` is not a number of 0 or more.
    """
    text = os.environ.get(LIMIT, USUAL_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise ValueError(f"{LIMIT}={text}: expected a number of gigabytes; 0 is without a store")
    here = Path.cwd()
    copies = (folder for folder in here.parents if folder.parts[-3:] == EXPERIMENTS)
    root = next((folder.parents[2] for folder in copies), here)
    if gigabytes == 0 or not (root / ".dvc").is_dir():
        return None
    return Store(root / FOLDER, max_bytes=int(gigabytes * 1e9))


class Store:
    """Values of any kind by key; those that were not used for longest go first.

    A value that cannot be written is not kept, with one note: the work goes on without it. On a
    disk with less than `max_bytes` free none is, since the outs need the rest.

    Args:
        folder: Folder of the entries; it need not exist.
        max_bytes: Size on the disk that is kept. Other processes may add a tenth each.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Look at nothing yet."""
        self.num_found = 0
        self.max_bytes = max_bytes
        self._folder = folder
        self._untrimmed = max_bytes  # bytes added since the folder was last looked at
        self._is_writable = True
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        """Return whether there is a value of a key, which may be damaged, without reading it."""
        return self._path(key).is_file()

    def find(self, key: str) -> bytes | None:
        """Return the value of a key; None if there is none, or it is damaged."""
        path = self._path(key)
        try:
            entry = path.read_bytes()
            value = entry[CHECK_BYTES:]
            if entry[:CHECK_BYTES] != _check(value):
                return None
            os.utime(path)  # used now
        except OSError:
            return None
        with self._lock:
            self.num_found += 1
        return value

    def keep(self, key: str, value: bytes) -> None:
        """Keep a value, whole or not at all."""
        if not self._is_writable or len(value) > self.max_bytes // 10:
            return
        path = self._path(key)
        aside = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _require_space(path.parent, self.max_bytes)
            aside.write_bytes(_check(value) + value)
            size = _size_of(aside.stat())
            aside.replace(path)
            self._trim(size)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            if self._is_writable:
                print(f"note: results are not kept for later runs: {error}", file=sys.stderr)
            self._is_writable = False

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _trim(self, added: int) -> None:
        """Remove the oldest entries, once a tenth of the limit was added."""
        with self._lock:
            self._untrimmed += added
            if self._untrimmed <= self.max_bytes // 10:
                return
            self._untrimmed = 0
            entries = sorted(_entries(self._folder))
            excess = sum(size for _, size, _ in entries) - self.max_bytes * 9 // 10
            for _, size, path in entries:
                if excess <= 0:
                    return
                path.unlink(missing_ok=True)
                excess -= size


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise OSError(f"{free / 1e9:.3g} GB are free, {LIMIT} is {num_bytes / 1e9:.3g}")


def _check(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=CHECK_BYTES).digest()


def _entries(folder: Path) -> list[tuple[int, int, Path]]:
    """When each file was last used, its size on the disk, and its path."""
    entries = []
    for path in folder.glob("*/*"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process removed it
            continue
        entries.append((status.st_mtime_ns, _size_of(status), path))
    return entries


def _size_of(status: os.stat_result) -> int:
    return status.st_blocks * 512  # by POSIX, whatever a block of the file system is
