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
        shard: The tar file.
        offset: Of its first byte.
        num_bytes: Its size.
    """

    shard: Path
    offset: int
    num_bytes: int


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
    stamps = [
        (shard, shard.stat().st_mtime_ns, shard.stat().st_size)
        for shard in sorted(root.rglob("*.tar"))
    ]
    found = _members(root, tuple(stamps)).get(_plain(PurePosixPath(name)))
    if found is None:
        return None
    with found.shard.open("rb") as file:
        file.seek(found.offset)
        return EncodedImage(root / name, file.read(found.num_bytes))


@lru_cache(maxsize=4)
def _members(root: Path, stamps: tuple[Stamp, ...]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for shard, _, _ in stamps:
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
            found[name] = Member(shard, member.offset_data, member.size)
    return found


def _plain(path: PurePosixPath) -> str:
    """Write a path in one Unicode form and without `./`."""
    return normalize("NFC", path.as_posix())
