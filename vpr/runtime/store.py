"""Results that are found again by their inputs: a folder of bounded size, which may be deleted.

A key is a hash of everything that a value was computed from, so an entry is valid for ever unless
damaged, and results do not depend on whether it exists. Any number of processes share the folder.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.runtime.artefacts import link_file
from vpr.runtime.hashing import hash_file
from vpr.runtime.npz import pack_arrays, unpack_arrays

LIMIT = "VPR_STORE_GB"  # not a parameter: results do not depend on it
USUAL_GB = "6"  # holds the values of 10,000 photos with the usual parameters
FOLDER = Path(".dvc/tmp/vpr")  # of the repository; git and DVC ignore it
EXPERIMENTS = (".dvc", "tmp", "exps")  # below it are the copies that `dvc exp run --temp` works in
CHECK_BYTES = 16
BLOCK_BYTES = 4096  # of most file systems
PARTS, LIST = "parts", "list"  # folder of all parts, and the file of each that describes it


def content_key(*parts: bytes) -> str:
    """Hash what a value was computed from; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def size_kept(value: bytes) -> int:
    """Bytes on the disk that a value takes in a store."""
    return -(-(len(value) + CHECK_BYTES) // BLOCK_BYTES) * BLOCK_BYTES


class Part(NamedTuple):
    """Arrays of neighbouring photos, in files that may be links to those of an out.

    Args:
        folder: Folder of the part in the store.
        digests: Hash of each photo's bytes.
        counts: Rows of each photo in each file, shape (num_photos, num_files).
        files: The .npy files, in the order in which they were kept.
    """

    folder: Path
    digests: list[bytes]
    counts: NDArray[np.int64]
    files: list[Path]


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
    return Store(
        root / FOLDER, max_bytes=int(gigabytes * 1e9), is_shared=_links_outs(root / ".dvc")
    )


def _links_outs(folder: Path) -> bool:
    """Return whether DVC makes outs its cache's files, as the repository's own settings say.

    It does if `hardlink` is the first kind in `cache.type`. With another first it copies outs to
    its cache, and replaces them by links to the copies.
    """
    settings = configparser.ConfigParser(interpolation=None)
    settings.read([folder / "config", folder / "config.local"])
    kinds = settings.get("cache", "type", fallback="").strip("'\" ")
    return kinds.split(",")[0].strip() == "hardlink"


class Store:
    """Values of any kind by key; the least recently used are deleted first.

    If a value cannot be written, one note says so, and the work goes on. While the disk has less
    than `max_bytes` free, no value is kept, since the outs need the space.

    Args:
        folder: Folder of the entries; it need not exist.
        max_bytes: Maximum size on the disk, to which each other process may add a tenth.
        is_shared: Whether files of parts are links to DVC's cache, which take no space.
    """

    def __init__(self, folder: Path, *, max_bytes: int, is_shared: bool = False) -> None:
        """Look at nothing yet."""
        self.num_found = 0
        self.is_shared = is_shared
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
        value = _read(path)
        if value is not None:
            with suppress(OSError):
                os.utime(path)  # used now
            with self._lock:
                self.num_found += 1
        return value

    def keep(self, key: str, value: bytes) -> None:
        """Keep a value, whole or not at all."""
        if len(value) <= self.max_bytes // 10:
            self._keep(self._path(key), value)

    def list_parts(self, key: str) -> list[Part]:
        """List the parts of a key that are whole and unchanged since they were kept."""
        parts = []
        for folder in self._parts(key).glob("*"):
            value = _read(folder / LIST)
            if value is None:
                continue
            digests, counts, stamps, _ = unpack_arrays(value)
            files = [folder / f"{number}.npy" for number in range(len(stamps))]
            with suppress(FileNotFoundError):  # it was deleted now
                if [_stamp(file) for file in files] == stamps.tolist():
                    parts.append(Part(folder, [bytes(row) for row in digests], counts, files))
        return parts

    def keep_part(
        self, key: str, digests: Sequence[bytes], counts: NDArray[np.int64], files: Sequence[Path]
    ) -> None:
        """Keep the files of neighbouring photos' arrays, by links where the disk allows them.

        `digests` and `counts` are those of `Part`, `files` are complete.
        """
        folder = self._parts(key) / content_key(*digests)
        with suppress(FileNotFoundError):  # it was deleted now
            stamps, hashes = [], []
            for number, file in enumerate(files):
                if not self._keep(kept := folder / f"{number}.npy", file):
                    return
                stamps.append(_stamp(kept))
                hashes.append(hash_file(kept))
            rows = np.array([list(digest) for digest in digests], np.uint8)
            parts = rows, counts, np.array(stamps), np.array(hashes)
            self._keep(folder / LIST, pack_arrays(*parts))

    def _path(self, key: str) -> Path:
        return Path(f"{self._folder}/{key[:2]}/{key}")

    def _parts(self, key: str) -> Path:
        return self._folder / PARTS / key

    def _keep(self, path: Path, content: bytes | Path) -> bool:
        """Write a value, or link a file, whole or not at all; return whether it is there."""
        if not self._is_writable:
            return False
        aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                link_file(content, aside)
            else:
                aside.write_bytes(_check(content) + content)
            status = aside.stat()
            if not self._is_of_dvc(status):
                _require_space(path.parent, self.max_bytes)
            size = self._size_of(status)
            aside.replace(path)
            self._trim(size)
        except FileNotFoundError:  # the folder was deleted now, by another process or by hand
            return False
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            if self._is_writable:
                print(f"note: results are not kept for later runs: {error}", file=sys.stderr)
            self._is_writable = False
        return self._is_writable

    def _trim(self, added: int) -> None:
        """Remove the oldest entries, once a tenth of the limit was added."""
        with self._lock:
            self._untrimmed += added
            if self._untrimmed <= self.max_bytes // 10:
                return
            self._untrimmed = 0
            entries = sorted(self._entries())
            excess = sum(size for _, size, _ in entries) - self.max_bytes * 9 // 10
            for _, size, path in entries:
                if excess <= 0:
                    return
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
                excess -= size

    def _entries(self) -> list[tuple[int, int, Path]]:
        """When each value and each part was last used, its size on the disk, and its path."""
        entries = []
        for path in [*self._folder.glob("[!p]*/*"), *self._folder.glob(f"{PARTS}/*/*")]:
            with suppress(FileNotFoundError):  # another process removed it
                if path.is_dir():
                    inside = [file.stat() for file in path.iterdir()]
                    used = max((status.st_mtime_ns for status in inside), default=0)
                    entries.append((used, sum(map(self._size_of, inside)), path))
                else:
                    status = path.stat()
                    entries.append((status.st_mtime_ns, self._size_of(status), path))
        return entries

    def _size_of(self, status: os.stat_result) -> int:
        """Bytes on the disk, by POSIX whatever a block is; none of a file that DVC has too."""
        return 0 if self._is_of_dvc(status) else status.st_blocks * 512

    def _is_of_dvc(self, status: os.stat_result) -> bool:
        return self.is_shared and status.st_nlink > 1


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise OSError(f"{free / 1e9:.3g} GB are free, {LIMIT} is {num_bytes / 1e9:.3g}")


def _check(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=CHECK_BYTES).digest()


def _read(path: Path) -> bytes | None:
    """Read a value; None if there is none, or it is damaged."""
    try:
        entry = path.read_bytes()
    except OSError:
        return None
    value = entry[CHECK_BYTES:]
    return value if entry[:CHECK_BYTES] == _check(value) else None


def touch_part(part: Part) -> None:
    """Note that a part is used now, if this user may.

    Raises:
        FileNotFoundError: If it was deleted.
    """
    with suppress(PermissionError):
        os.utime(part.folder / LIST)


def list_hashes(folder: Path) -> Iterator[tuple[Path, str]]:
    """List the files of a store's parts, and the MD5 hash that each had when it was kept."""
    for listing in sorted(folder.glob(f"{PARTS}/*/*/{LIST}")):
        value = _read(listing)
        for number, md5 in enumerate([] if value is None else unpack_arrays(value)[-1].tolist()):
            yield listing.with_name(f"{number}.npy"), md5


def _stamp(file: Path) -> list[int]:
    """Return numbers that a change of the file changes, and a copy by `cp -a` does not."""
    status = file.stat()
    return [status.st_mtime_ns, status.st_size]
