"""Arrays of photos, written in parts that are cut by content: a new photo changes one part.

A part ends after a photo whose hash is a multiple of `NUM_PHOTOS` (content-defined chunking, as in
Muthitacharoen et al., A low-bandwidth network file system, SOSP 2001). So a photo that is added,
removed or moved changes only the part that it is in; the others are found in the store, and linked
instead of written.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.images.image_files import Photo
from vpr.images.known_photos import (
    SHARE,
    KnownPhotos,
    on_contents,
    report_found,
    report_kept,
)
from vpr.runtime.artefacts import HALF, link_file, replaced_whole
from vpr.runtime.npz import pack_arrays, unpack_arrays
from vpr.runtime.parts import Arrays, part_file, save_part
from vpr.runtime.store import Part, content_key, touch_part

NUM_PHOTOS, MOST_PHOTOS = 64, 256  # of a part, on average and at most
SECONDS_BETWEEN_SAVES = 5.0  # of work, which a kill costs at most


class Work(NamedTuple):
    """A computation on photos, and the folder that it fills.

    Args:
        what: Title, for messages.
        folder: Folder to write, or to continue in; `saved` is a folder beside it.
        names: The arrays; the last has one row for each photo.
        empty: The arrays of no photos.
        compute: Computes the arrays of some photos, given their indices, in order.
    """

    what: str
    folder: Path
    names: Sequence[str]
    empty: Arrays
    compute: Callable[[Sequence[int]], Iterator[Arrays]]

    @property
    def saved(self) -> Path:
        """Folder of photos that were computed, but whose part is not complete."""
        return self.folder.with_name("saved")


def cut_parts(digests: Sequence[bytes]) -> list[range]:
    """Cut a list of photos, given the hashes of their bytes, into parts."""
    parts, start = [], 0
    for number, digest in enumerate(digests, 1):
        is_last = int.from_bytes(digest[:8], "big") % NUM_PHOTOS == 0
        if is_last or number - start == MOST_PHOTOS or number == len(digests):
            parts.append(range(start, number))
            start = number
    return parts


def hash_photos(photos: Sequence[Photo]) -> list[bytes]:
    """Hash the bytes of photos, each read once."""
    return on_contents(_hash_content, photos)


def write_parts(
    work: Work,
    photos: Sequence[Photo],
    known: KnownPhotos,
    digests: Sequence[bytes] | None = None,
) -> None:
    """Write the arrays of photos, computing only those that are neither in the store nor saved.

    Parts that an interrupted run left in the folder stay. `digests` are what `hash_photos` gives,
    if the caller has them.
    """
    if not photos:
        save_part(work.folder, work.names, [work.empty])
        return
    digests = hash_photos(photos) if digests is None else digests
    found = _Found(known, digests)
    for file in work.folder.rglob(f"*{HALF}"):  # what a kill left
        file.unlink()
    parts = [part for part in cut_parts(digests) if not _is_whole(work, part)]
    saved = [index for part in parts for index in part if _saved(work, digests[index]).exists()]
    num_done = len(digests) - sum(map(len, parts)) + len(saved)
    if num_done:
        print(f"resuming after the {num_done} images that were done")
    left = [part for part in parts if not found.link(work, part)]
    unsaved = {index for part in left for index in part}.difference(saved)
    new = sorted(index for index in unsaved if digests[index] not in found)
    report_found(work.what, len(digests) - num_done - len(new), len(photos))
    computed, awaited = iter(work.compute(new)) if new else iter(()), set(new)
    saver = _Saver(work)
    for part in left:
        values = []
        for index in part:
            value = None
            if index not in awaited:  # those that are come in order, equal ones before or not
                value = found.read(digests[index]) or saver.load(digests[index])
            if value is None:  # also one that was there, and was deleted since
                (value,) = [next(computed)] if index in awaited else work.compute([index])
                saver.save(digests[index], value)
            values.append(value)
        files = save_part(work.folder, work.names, values, first=part.start)
        found.keep(part, np.array([list(map(len, value)) for value in values]), files)
        saver.clear()
    next(computed, None)  # to its end
    found.report(work, len(photos))


class _Found:
    """Parts of the store that hold some of the photos."""

    def __init__(self, known: KnownPhotos, digests: Sequence[bytes]) -> None:
        self._store, self._digests = known.store, digests
        self._key = content_key(known.key.encode())
        self._parts: dict[tuple[bytes, ...], Part] = {}
        self._places: dict[bytes, tuple[Part, int]] = {}
        self._mapped: dict[Path, list[NDArray[Any]]] = {}
        self._num_bytes = self._num_left_out = 0
        wanted = set(digests)
        for part in self._store.list_parts(self._key) if self._store else ():
            self._parts[tuple(part.digests)] = part
            self._places |= {
                digest: (part, row) for row, digest in enumerate(part.digests) if digest in wanted
            }

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._places

    def link(self, work: Work, part: range) -> bool:
        """Link the files of a whole part into the folder; return False if the store lacks it."""
        found = self._parts.get(tuple(self._digests[part.start : part.stop]))
        if found is None:
            return False
        with suppress(FileNotFoundError):  # it was deleted now
            for name, file in zip(work.names, found.files, strict=True):
                path = part_file(work.folder, name, part.start)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                link_file(file, path)
            touch_part(found)
            self._num_bytes += sum(file.stat().st_size for file in found.files)
            return True
        return False

    def read(self, digest: bytes) -> Arrays | None:
        """Read the arrays of one photo; None if the store lacks them."""
        part, row = self._places.get(digest, (None, 0))
        if part is None:
            return None
        try:
            if part.folder not in self._mapped:
                self._mapped[part.folder] = [np.load(file, mmap_mode="r") for file in part.files]
                touch_part(part)
        except FileNotFoundError:  # it was deleted now
            return None
        starts = part.counts[:row].sum(axis=0)
        ends = starts + part.counts[row]
        rows = zip(self._mapped[part.folder], starts, ends, strict=True)
        return [array[start:end] for array, start, end in rows]

    def keep(self, part: range, counts: NDArray[np.int64], files: Sequence[Path]) -> None:
        """Keep a part, until the photos of this list have filled their share of the store."""
        if self._store is None:
            return
        self._num_bytes += sum(file.stat().st_size for file in files)
        if self._store.is_shared or self._num_bytes <= self._store.max_bytes // SHARE:
            self._store.keep_part(self._key, self._digests[part.start : part.stop], counts, files)
        else:
            self._num_left_out += len(part)

    def report(self, work: Work, num_photos: int) -> None:
        """Print how many photos did not fit into the store."""
        report_kept(work.what, num_photos - self._num_left_out, num_photos, self._num_bytes)


class _Saver:
    """Saves photos one by one if a part takes longer than `SECONDS_BETWEEN_SAVES`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._since = time.monotonic()

    def save(self, digest: bytes, value: Arrays) -> None:
        if time.monotonic() - self._since < SECONDS_BETWEEN_SAVES:
            return
        self._work.saved.mkdir(exist_ok=True)
        with replaced_whole(_saved(self._work, digest)) as file:
            file.write(pack_arrays(*value))

    def load(self, digest: bytes) -> Arrays | None:
        file = _saved(self._work, digest)
        return unpack_arrays(file.read_bytes()) if file.exists() else None

    def clear(self) -> None:
        """Delete the saved photos, whose part is written now."""
        shutil.rmtree(self._work.saved, ignore_errors=True)
        self._since = time.monotonic()


def _hash_content(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _saved(work: Work, digest: bytes) -> Path:
    return work.saved / digest.hex()


def _is_whole(work: Work, part: range) -> bool:
    return all(part_file(work.folder, name, part.start).exists() for name in work.names)
