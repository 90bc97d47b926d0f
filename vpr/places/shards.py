"""Images in tar shards, the form of webdataset: a few large files, not a million small ones."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from vpr.places.images import EncodedImage

Stamp = tuple[Path, int, int]  # of a shard: where, when it was changed, how large


class Member(NamedTuple):
    """Where a file lies in a shard.

    Args:
        stamp: Of the tar file.
        offset: Of its first byte.
        num_bytes: Its size.
    """

    stamp: Stamp
    offset: int
    num_bytes: int

    @property
    def shard(self) -> Path:
        """The tar file."""
        return self.stamp[0]


_KNOWN: dict[Path, dict[str, Member]] = {}  # the members of each data set's folder


def read_member(root: Path, name: str) -> EncodedImage | None:
    """Read an image of a shard below a folder.

    A shard's members are named as if they lay beside it: `0001.jpg` in `database/00.tar` is
    `database/0001.jpg`.

    Args:
        root: The data set's folder.
        name: The image's path in it, with slashes.

    Returns:
        The image, or None if no shard holds it.

    Raises:
        ValueError: If a shard is damaged or compressed, or two hold the same name.
    """
    plain = _plain(PurePosixPath(name))
    found = _KNOWN.get(root, {}).get(plain)
    if found is None or _stamp(found.shard) != found.stamp:  # perhaps in a new or changed shard
        _KNOWN[root] = _members(root, tuple(map(_stamp, sorted(root.rglob("*.tar")))))
        found = _KNOWN[root].get(plain)
    if found is None:
        return None
    with found.shard.open("rb") as file:
        file.seek(found.offset)
        return EncodedImage(root / name, file.read(found.num_bytes))


def _stamp(shard: Path) -> Stamp | None:
    try:
        found = shard.stat()
    except FileNotFoundError:
        return None
    return shard, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _members(root: Path, stamps: tuple[Stamp | None, ...]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for stamp in filter(None, stamps):
        shard = stamp[0]
        beside = PurePosixPath(shard.parent.relative_to(root).as_posix())
        try:
            with tarfile.open(shard, "r:") as archive:
                files = [member for member in archive if member.isfile()]
        except tarfile.TarError as error:
            raise ValueError(
                f"{shard}: not a tar file, or a compressed one, which cannot be read at any place: "
                f"{error}"
            ) from None
        for member in files:
            name = _plain(beside / member.name)
            if name in found:
                raise ValueError(f"{name!r} lies in {found[name].shard} and in {shard}")
            found[name] = Member(stamp, member.offset_data, member.size)
    return found


def _plain(path: PurePosixPath) -> str:
    """Write a path in one Unicode form and without `./`."""
    return normalize("NFC", path.as_posix())
