"""Values computed for photos, found again by the photos' bytes: only new photos cost time.

Values must not depend on the other photos, nor on the photo's name: then any order and any mix of
photos, known and new, give the bytes of a run without a store.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from vpr.images.image_files import Photo, encoded_image
from vpr.runtime.ordered_map import is_over_mixed_cluster, map_ahead
from vpr.runtime.store import LIMIT, Store, content_key, open_store, size_kept

Value = TypeVar("Value")

NUM_THREADS = 4  # reading and hashing release the interpreter
PHOTOS_A_TASK = 32  # a task of its own costs as much as hashing a small photo
SHARE = 4  # the photos of one list take at most 1 / SHARE of the store


class Form(NamedTuple, Generic[Value]):
    """How a photo's value is stored.

    Args:
        pack: Value -> bytes.
        unpack: The same bytes -> an equal value.
    """

    pack: Callable[[Value], bytes]
    unpack: Callable[[bytes], Value]


@dataclass(frozen=True)
class KnownPhotos:
    """Values of photos that were computed before, here or in another run.

    Args:
        store: Store of the repository; None: every value is computed, and none is kept.
        key: Hash of everything that a value depends on, except the photo's bytes.
    """

    store: Store | None
    key: str

    def look_up(
        self,
        what: str,
        photos: Sequence[Photo],
        compute: Callable[[Sequence[int]], Iterator[Value]],
        form: Form[Value],
    ) -> Iterator[Value]:
        """Find the values of photos in the store, or compute and keep them.

        If the values exceed the list's share of the store, only those of the first photos are kept:
        with all of them, each run would evict what the next one needs first.

        Args:
            what: Title of the values, for messages.
            photos: The photos.
            compute: Computes the values of some photos, given their indices, in order.
            form: How values are stored.

        Yields:
            The value of each photo, in order.
        """
        store = self.store
        if store is None:
            yield from compute(range(len(photos)))
            return
        keys = on_contents(self._key_of, photos)
        is_known = [store.has(key) for key in keys]
        report_found(what, sum(is_known), len(keys))
        new = [index for index, known in enumerate(is_known) if not known]
        computed = iter(compute(new)) if new else iter(())
        share, num_bytes, num_kept = store.max_bytes // SHARE, 0, 0
        for index, key in enumerate(keys):
            packed = store.find(key) if is_known[index] else None
            if packed is not None:
                yield form.unpack(packed)
                num_bytes += size_kept(packed)
                num_kept += 1
                continue
            # One that was there may be damaged, or removed by another process since.
            (value,) = compute([index]) if is_known[index] else (next(computed),)
            packed = form.pack(value)
            num_bytes += size_kept(packed)
            if num_bytes <= share:
                store.keep(key, packed)
                num_kept += 1
            yield value
        next(computed, None)  # to its end
        report_kept(what, num_kept, len(keys), num_bytes)

    def _key_of(self, content: bytes) -> str:
        return content_key(self.key.encode(), content)


def on_contents(function: Callable[[bytes], Value], photos: Sequence[Photo]) -> list[Value]:
    """Apply a hash to the bytes of each photo, on threads that read `PHOTOS_A_TASK` each."""

    def apply(start: int) -> list[Value]:
        some = photos[start : start + PHOTOS_A_TASK]
        return [function(encoded_image(photo).content) for photo in some]

    starts = range(0, len(photos), PHOTOS_A_TASK)
    hashed = map_ahead(apply, starts, threads=NUM_THREADS, ahead=2 * NUM_THREADS)
    return list(chain.from_iterable(hashed))


def report_found(what: str, num_found: int, num_photos: int) -> None:
    """Print how many photos' values the store had, if any."""
    if num_found:
        found = f"{num_found} of {num_photos} photos were found in the store"
        print(f"{what}: {found}", file=sys.stderr)


def report_kept(what: str, num_kept: int, num_photos: int, num_bytes: int) -> None:
    """Print how many photos' values the store keeps, unless all; `num_bytes` is what all take."""
    if num_kept < num_photos:
        print(
            f"{what}: the store holds {num_kept} of {num_photos} photos: "
            f"{LIMIT}={math.ceil(SHARE * num_bytes / 1e9)} holds all",
            file=sys.stderr,
        )


UNKNOWN = KnownPhotos(None, "")  # without a store


def known_photos(make_key: Callable[[], str]) -> KnownPhotos:
    """Open the store for the values of photos, unless there is none.

    Args:
        make_key: Hashes everything that a value depends on, except the photo's bytes.
    """
    store = None if is_over_mixed_cluster() else open_store()
    return UNKNOWN if store is None else KnownPhotos(store, make_key())
