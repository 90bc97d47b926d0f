"""Finding a photo of a data set by its name: a file of its folder, or a member of a tar shard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import lexists, normpath
from unicodedata import normalize

from vpr.images.image_files import Photo
from vpr.images.shards import Member, describe_unread_members, list_members

Stamp = tuple[Path, int, int]  # of a shard: where, when it was changed, how large
Found = tuple[Stamp, Member]

COMPRESSED = (  # endings of archives that cannot be read from an offset
    ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip", ".7z", ".rar",
)  # fmt: skip
_KNOWN: dict[Path, dict[str, Found]] = {}  # the members of each data set's folder


def find_photo(root: Path, name: str) -> Photo:
    """Find an image, which lies in the data set's folder or in a tar shard there.

    Args:
        root: The data set's folder.
        name: The image's path in it; of a shard's member as if it lay beside the shard.

    Raises:
        ValueError: As `find_image`, or if a shard is damaged.
        FileNotFoundError: If there is neither such a file nor such a member.
    """
    home, path = root.resolve(), with_slashes(name)
    check_name(name, home=home)
    member = _known_member(home, path)  # of a million, each costs only this
    if member is not None and not lexists(f"{home}/{path}"):
        return member
    try:
        return find_image(root, name)
    except FileNotFoundError:
        member = find_member(home, path)
        if member is not None:
            return member
        reasons = "".join(_describe_archives(home))
        raise FileNotFoundError(f"{name!r}: there is no such file in {home}{reasons}") from None


def find_image(root: Path, name: str) -> Path:
    """Find the file of an image, which lies in the data set's folder.

    A name is found in whichever Unicode form the system that made the file wrote it: macOS takes
    letters and syllables apart (NFD), a table typed on Windows has them whole (NFC).

    Args:
        root: The data set's folder.
        name: The image's path in it.

    Raises:
        ValueError: If the name or a link leads out of the folder.
        FileNotFoundError: If there is no such file.
    """
    home = root.resolve()
    check_name(name, home=home)
    source = home / with_slashes(name)
    if not source.exists():
        source = _find_same_text(home, with_slashes(name))
    if not source.resolve().is_relative_to(home):
        raise ValueError(f"{name!r}: a link leads out of the data set's folder {home}")
    if not source.is_file():
        raise FileNotFoundError(f"{name!r}: there is no such file in {home}")
    return source


def check_name(name: str, *, home: Path) -> None:
    """Check that an image's name can only be a path below the data set's folder.

    Args:
        name: The image's path in it.
        home: The folder, for the message.

    Raises:
        ValueError: If it is absolute, leads out of the folder, or no path at all.
    """
    path = PurePosixPath(with_slashes(name))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r}: expected a path below the data set's folder {home}")
    if "\0" in name:
        raise ValueError(f"{name!r}: a name cannot contain a zero byte")


def with_slashes(name: str) -> str:
    r"""Write a path as every system reads it, also if Windows wrote it: `a\b.jpg` is `a/b.jpg`."""
    return name.replace("\\", "/")


def plain_name(name: str) -> str:
    """Write a name such that names of one file are equal: `./a//b.jpg` and `c/../a/b.jpg` are."""
    return normalize("NFC", normpath(with_slashes(name)))


def _find_same_text(home: Path, name: str) -> Path:
    """Follow a name part by part, each in whichever Unicode form a folder has it."""
    found = home
    for part in PurePosixPath(name).parts:
        there = part
        if not (found / part).exists() and found.is_dir():
            entries = _entries(found, found.stat().st_mtime_ns)
            there = entries.get(normalize("NFC", part), part)
        found /= there
    return found


@lru_cache(maxsize=64)
def _entries(folder: Path, _changed_ns: int) -> dict[str, str]:
    """List what a folder holds, by its names in the form NFC."""
    return {normalize("NFC", entry.name): entry.name for entry in folder.iterdir()}


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
    member = _known_member(root, name)
    if member is None:  # perhaps in a new or changed shard
        _KNOWN[root] = _members(root, tuple(map(_stamp, _list_shards(root))))
        member = _known_member(root, name)
    return member


def _known_member(root: Path, name: str) -> Member | None:
    found = _KNOWN.get(root, {}).get(plain_name(name))
    return None if found is None or _stamp(found[1].shard) != found[0] else found[1]


def _list_shards(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.[tT][aA][rR]") if path.is_file())


def _describe_archives(root: Path) -> Iterator[str]:
    """Say where else than in files of their own the photos of a folder may be, and why not here."""
    shards = _list_shards(root)
    if shards:
        yield f", nor in its {len(shards)} tar shards, whose files count as if they lay beside them"
    for shard in shards:
        unread = describe_unread_members(shard)
        if unread is not None:
            yield f"; {unread}"
    packed = sorted(path for path in root.rglob("*") if path.name.lower().endswith(COMPRESSED))
    if packed:
        yield (
            f"; {len(packed)} archives are compressed and not read ({packed[0].name!r}): unpack "
            "them, or pack them again as plain .tar"
        )


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
        beside = shard.parent.relative_to(root)
        for member in list_members(shard):
            name = plain_name((beside / member.name).as_posix())
            if name in found:
                first = found[name][1].shard
                where = f"twice in {shard}" if first == shard else f"in {first} and in {shard}"
                raise ValueError(f"{name!r} lies {where}: keep one of the two")
            found[name] = stamp, member
    return found
