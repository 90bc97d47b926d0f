"""What DVC recorded of outs and data, in dvc.lock and .dvc files, and its cache."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vpr.repository.dvc import run_dvc
from vpr.repository.locked_run import parse_stages
from vpr.run_files import CALIBRATION, DETAILS, LOCK, QUERIES, RECALL
from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.hashing import hash_file
from vpr.runtime.parameters import read_yaml

LOCKS = (Path("data/dvc.lock"), LOCK)  # data sets are made first
IN_GIT = (RECALL, QUERIES, DETAILS, CALIBRATION)  # outs that DVC's cache does not hold
SETTLED_NS = 10**9  # age of a file from which another change has another time, on any disk
FOLDER = ".dir"  # ends the hash of a folder, whose object lists its files


@dataclass(frozen=True)
class Recorded:
    """A file or a folder as DVC recorded it.

    Args:
        path: Relative to the repository.
        md5: MD5 hash; that of a folder ends in `.dir` and is its listing's.
        owner: The stage that made it, or the .dvc file.
        out: The out that it belongs to: itself, or the folder it lies in.
        size: Size in bytes; None for a file in a folder.
    """

    path: Path
    md5: str
    owner: str
    out: Path
    size: int | None = None


def list_recorded(root: Path) -> list[Recorded]:
    """List every out in the repository's lock files, in their order, and everything in .dvc files.

    Args:
        root: The repository.

    Raises:
        ValueError: If a file of DVC's is damaged.
    """
    found = list_locked(root)
    for pointer in _find_pointers(root):
        home, owner = pointer.parent.relative_to(root), str(pointer.relative_to(root))
        for out in read_yaml(pointer).get("outs", []):
            path = home / out["path"]
            found.append(Recorded(path, out["md5"], owner, path, out.get("size")))
    return found


def list_locked(root: Path) -> list[Recorded]:
    """List every out in the repository's lock files, in their order.

    Args:
        root: The repository.

    Raises:
        ValueError: If a lock file is damaged.
    """
    found = []
    for lock in (lock for lock in LOCKS if (root / lock).exists()):
        text = (root / lock).read_text(encoding="utf-8", errors="replace")
        home = "" if lock.parent == Path() else f"{lock.parent}/dvc.yaml:"
        for name, stage in parse_stages(text, source=lock, lock=lock).items():
            for out in stage.outs:
                path = Path(out.path)
                found.append(Recorded(path, out.md5, home + name, path, out.size))
    return found


def list_files(recorded: list[Recorded], cache: Path) -> Iterator[Recorded]:
    """Files and folders, and the files in the folders whose listing the cache has.

    Args:
        recorded: Result of `list_recorded`.
        cache: DVC's cache.
    """
    for one in recorded:
        yield one
        listing = stored_at(cache, one.md5)
        if one.md5.endswith(FOLDER) and is_whole(listing, one.md5):
            for entry in json.loads(listing.read_bytes()):
                yield Recorded(one.path / entry["relpath"], entry["md5"], one.owner, one.path)


def stored_at(cache: Path, md5: str) -> Path:
    """Find where the cache keeps the object of a hash."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def is_whole(file: Path, md5: str) -> bool:
    """Return whether a file is there and its bytes have this hash, `.dir` aside."""
    return file.is_file() and hash_file(file) == md5.removesuffix(FOLDER)


def hash_out(path: Path, hash_one: Callable[[Path], str] = hash_file) -> str:
    """Hash an out as DVC does: a file by its bytes, a folder by the listing of its files.

    Args:
        path: The file or folder.
        hash_one: Hashes a file by MD5.
    """
    if not path.is_dir():
        return hash_one(path)
    hashes: dict[str, str] = {}
    for folder, _, names in os.walk(path):  # unlike rglob, it asks the disk nothing of each file
        below = Path(folder).relative_to(path).as_posix()
        prefix = "" if below == "." else f"{below}/"
        hashes |= {prefix + name: hash_one(Path(folder, name)) for name in names}
    return hash_listing(hashes)


class KnownHashes:
    """MD5 of files, each read once: DVC too trusts inode, size and time of change.

    Args:
        before: Hashes of an earlier look at the files; those of files that are gone are forgotten.
    """

    def __init__(self, before: KnownHashes | None = None) -> None:
        """Know what is known."""
        self._before = {} if before is None else before._found
        self._found: dict[tuple[int, ...], str] = {}

    def hash_file(self, path: Path) -> str:
        """Hash a file, or remember its hash."""
        state = path.stat()
        stamp = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        known = self._found.get(stamp) or self._before.get(stamp) or hash_file(path)
        if time.time_ns() - state.st_mtime_ns > SETTLED_NS:
            self._found[stamp] = known
        return known


def hash_listing(hashes: Mapping[str, str]) -> str:
    """Hash a folder as DVC does, from the hash of each file in it by its path there."""
    listing = [{"md5": hashes[name], "relpath": name} for name in sorted(hashes)]
    digest = hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False)
    return digest.hexdigest() + FOLDER


def read_record() -> dict[Path, bytes]:
    """Read what DVC records of the run, and the metrics, by path."""
    paths = (*LOCKS, *IN_GIT, *_find_pointers(Path()))
    return {path: path.read_bytes() for path in paths if path.is_file()}


def restore_run(record: dict[Path, bytes]) -> bool:
    """Bring back the run of a record, its outs from DVC's cache; return whether all are back.

    What .dvc files follow stays as it is: a checkout would remove photos that are not recorded yet.
    """
    for path, content in record.items():
        with replaced_whole(path) as file:
            file.write(content)
    stages = [str(lock.with_suffix(".yaml")) for lock in LOCKS if lock in record]
    return not stages or run_dvc("checkout", "--force", *stages)


def _find_pointers(root: Path) -> list[Path]:
    """Find the .dvc files of data sets and weights."""
    return [path for part in ("data", "models") for path in sorted((root / part).rglob("*.dvc"))]
