"""The photos of a prepared folder, of which only some are wanted."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from vpr.images.image_files import Photo, list_images, require_numbered
from vpr.images.shards import SUFFIX, Member, list_members


class NumberedImages:
    """What `list_images` gives, found by number: nothing is listed before an image is wanted.

    Of shards only those are listed in which it is; listing all of a million images takes 17 s.

    Args:
        folder: Folder of numbered images, or of tar shards of them.
    """

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._members = cache(self._list_members)

    def __len__(self) -> int:
        """Count the images; of shards the last one is listed."""
        if not self._shards:
            return len(self._files)
        return self._shards[-1].start + len(self._members(len(self._shards) - 1))

    def __getitem__(self, number: int) -> Photo:
        """Find an image.

        Raises:
            IndexError: If there is none of this number.
            ValueError: If names do not count 000000, 000001, ..., or its shard is damaged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"{self._folder}: image {number} of {len(self)}")
        if not self._shards:
            return self._files[number]
        shard = bisect_right(self._shards, number, key=lambda shard: shard.start) - 1
        return self._members(shard)[number - self._shards[shard].start]

    @cached_property
    def _shards(self) -> list[_Shard]:
        found = sorted(_Shard(int(path.stem), path) for path in self._folder.glob(f"*{SUFFIX}"))
        return found if found and found[0].start == 0 else []

    @cached_property
    def _files(self) -> list[Photo]:
        return list_images(self._folder)

    def _list_members(self, shard: int) -> list[Member]:
        start, path = self._shards[shard]
        members = list_members(path)
        require_numbered(self._folder, members, start=start)
        following, end = self._shards[shard + 1 : shard + 2], start + len(members)
        if following and following[0].start != end:
            raise ValueError(
                f"{self._folder}: expected an image {end:06d} after {members[-1]}, found "
                f"{following[0].path.name}"
            )
        return members


class _Shard(NamedTuple):
    start: int  # number of its first image
    path: Path
