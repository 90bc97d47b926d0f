"""Finding an image of a data set in the tar shards below its folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from vpr.images.shards import SUFFIX, Member, list_members

Stamp = tuple[Path, int, int]  # of a shard: where, when it was changed, how large
Found = tuple[Stamp, Member]

_KNOWN: dict[Path, dict[str, Found]] = {}  # the members of each data set's folder


def find_member(root: Path, name: str) -> Member | None:
    """Find an image of a shard below a folder.

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
    if found is None or _stamp(found[1].shard) != found[0]:  # perhaps in a new or changed shard
        _KNOWN[root] = _members(root, tuple(map(_stamp, sorted(root.rglob(f"*{SUFFIX}")))))
        found = _KNOWN[root].get(plain)
    return None if found is None else found[1]


def count_shards(root: Path) -> int:
    """Count the shards below a folder."""
    return sum(1 for _ in root.rglob(f"*{SUFFIX}"))


def _stamp(shard: Path) -> Stamp | None:
    try:
        found = shard.stat()
    except FileNotFoundError:
        return None
    return shard, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _members(root: Path, stamps: tuple[Stamp | None, ...]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for stamp in filter(None, stamps):
        shard = stamp[0]
        beside = PurePosixPath(shard.parent.relative_to(root).as_posix())
        for member in list_members(shard):
            name = _plain(beside / member.name)
            if name in found:
                first = found[name][1].shard
                where = f"twice in {shard}" if first == shard else f"in {first} and in {shard}"
                raise ValueError(f"{name!r} lies {where}: keep one of the two")
            found[name] = stamp, member
    return found


def _plain(path: PurePosixPath) -> str:
    """Write a path in one Unicode form and without `./`."""
    return normalize("NFC", path.as_posix())
