"""Tar shards, the form of webdataset: a few large files, not a million small ones."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

File = tuple[str, bytes]  # name and content

SUFFIX = ".tar"
SHARD_BYTES = 2**25  # a shard is closed once it is as large


class Member(NamedTuple):
    """A file in a shard, which is read only where it is opened.

    Args:
        shard: The tar file, uncompressed.
        name: Name in the shard.
        offset: Offset of its first byte.
        num_bytes: Size of the member.
    """

    shard: Path
    name: str
    offset: int
    num_bytes: int

    @property
    def path(self) -> Path:
        """Where it lies, for messages: as if the shard were a folder."""
        return self.shard / self.name

    def __str__(self) -> str:
        """Name shard and member."""
        return str(self.path)

    def open(self) -> IO[bytes]:
        """Open it as a file of its own."""
        return io.BufferedReader(_Part(self))


def list_members(shard: Path) -> list[Member]:
    """List the files in a shard, in their order there.

    Raises:
        ValueError: If it is damaged, cut off or compressed, or a file in it is stored with holes.
    """
    try:
        with tarfile.open(shard, "r:") as archive:
            files = [one for one in archive if one.isfile()]
            end = archive.offset
    except tarfile.TarError as error:
        raise ValueError(
            f"{shard}: not a tar file, or a compressed one, which cannot be read at any place: "
            f"{error}"
        ) from None
    _check_end(shard, end)
    for one in files:
        if one.issparse():
            raise ValueError(f"{shard}: {one.name} is stored with holes: pack it without --sparse")
    return [Member(shard, one.name, one.offset_data, one.size) for one in files]


def describe_unread_members(shard: Path) -> str | None:
    """Say which files of a shard no name finds: links, and those with absolute paths."""
    with tarfile.open(shard, "r:") as archive:
        entries = list(archive)
    links = [entry.name for entry in entries if entry.islnk() or entry.issym()]
    rooted = [entry.name for entry in entries if entry.isfile() and entry.name.startswith("/")]
    reasons = []
    if links:
        reasons.append(
            f"{len(links)} links, which do not count ({links[0]!r}): pack with tar --dereference "
            "--hard-dereference"
        )
    if rooted:
        reasons.append(
            f"{len(rooted)} files with absolute paths ({rooted[0]!r}): pack without tar -P, from "
            "inside the folder"
        )
    return f"{shard.name} has {' and '.join(reasons)}" if reasons else None


def _check_end(shard: Path, end: int) -> None:
    """Check that a shard ends where tarfile stops: it also stops, silently, at a damaged header."""
    with shard.open("rb") as file:
        file.seek(end)
        rest = file.read(2 * tarfile.BLOCKSIZE)  # two blocks of zeros end an archive
        if len(rest) < tarfile.BLOCKSIZE or any(rest):
            raise ValueError(
                f"{shard}: cut off or damaged at byte {end:,}: expected another file or the "
                "archive's end there: pack or fetch it again"
            )
        while block := file.read(tarfile.BLOCKSIZE):
            if any(block):
                raise ValueError(
                    f"{shard}: the archive ends at byte {end:,}, and more follows, of which "
                    "nothing would be read: several archives in one file? Pack their files into "
                    "one, or keep them apart"
                )


def write_shard(shard: Path, files: Iterable[File]) -> None:
    """Write files into one shard; the same files make the same bytes."""
    with shard.open("wb") as file, _new_archive(file) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def write_shards(
    folder: Path,
    files: Iterable[File],
    write: Callable[[Path, list[File]], None] = write_shard,
) -> None:
    """Write files into shards of about 32 MiB.

    Args:
        folder: Folder to write shards to, each named by its first file: `000000.tar`.
        files: Name and content of each, drawn as they are written.
        write: Writes one shard, given its path and its files.
    """
    for group in _groups(files):
        write((folder / group[0][0]).with_suffix(SUFFIX), group)


def _groups(files: Iterable[File]) -> Iterator[list[File]]:
    group: list[File] = []
    num_bytes = 0
    for name, content in files:
        group.append((name, content))
        num_bytes += tarfile.BLOCKSIZE * (1 + math.ceil(len(content) / tarfile.BLOCKSIZE))
        if num_bytes >= SHARD_BYTES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


def _new_archive(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)


class _Part(io.RawIOBase):
    """A member as a file: a part of its shard."""

    def __init__(self, member: Member) -> None:
        self._file = member.shard.open("rb", buffering=0)
        self._member, self._at = member, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.num_bytes}
        place = origins[whence] + offset
        if place < 0:  # else it would be in the member before
            raise ValueError(f"{self._member}: cannot go to byte {place}")
        self._at = place
        return place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)[: max(0, self._member.num_bytes - self._at)]
        self._file.seek(self._member.offset + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
