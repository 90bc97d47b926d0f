"""Files of a side's photos: where DVC's cache is linked, a shard that was written before is, too.

So one more photo costs a shard, not all.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from vpr.images.known_photos import KnownPhotos
from vpr.images.shards import File, write_shard, write_shards
from vpr.runtime.artefacts import link_file
from vpr.runtime.store import Store, content_key, touch_part


def write_files(
    folder: Path, files: Iterable[File], *, in_shards: bool, known: KnownPhotos
) -> None:
    """Write files into a folder, or into shards there, which may be links to those in the store."""
    if not in_shards:
        for name, content in files:
            (folder / name).write_bytes(content)
    elif known.store is None or not known.store.is_shared:  # the store would hold a second copy
        write_shards(folder, files)
    else:
        write_shards(folder, files, partial(_write_unknown, known.store, known.key.encode()))


def _write_unknown(store: Store, code: bytes, shard: Path, files: list[File]) -> None:
    names, contents = zip(*files, strict=True)
    key = content_key(code, *chain(map(str.encode, names), contents))
    for part in store.list_parts(key):
        with suppress(FileNotFoundError):  # it was deleted now
            link_file(part.files[0], shard)
            touch_part(part)
            return
    write_shard(shard, files)
    store.keep_part(key, [bytes.fromhex(key)], np.array([[len(files)]]), [shard])
