"""Gathering the images of one side into a folder of their own, named by index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from vpr.console.progress import track
from vpr.images.image_files import Photo, check_image, encoded_image
from vpr.images.shards import Member, write_files
from vpr.places.packed_sets import count_shards, find_member
from vpr.runtime.ordered_map import map_ahead

NUM_THREADS = 4  # decoding releases the interpreter


def gather_images(root: Path, names: Sequence[str], folder: Path, *, side: str) -> None:
    """Check each image, and copy its bytes unchanged to `000000.jpg`, `000001.jpg`, ...

    They become files of the folder; of a side whose first image lies in a tar shard, members of
    shards there, so that a side that came in a few large files stays in a few.

    Args:
        root: The data set's folder.
        names: Names of the images relative to it.
        folder: The folder to create.
        side: Database or query, for the messages.

    Raises:
        ValueError: If an image is missing, lies outside the folder or does not decode; one message
            names it by side, index and name.
    """
    folder.mkdir(parents=True)

    @contextmanager
    def named(number: int) -> Iterator[None]:
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"{side} image {number}: {error}") from None

    def load(number: int) -> tuple[str, bytes]:
        with named(number):
            photo = encoded_image(find_photo(root, names[number]))
            return f"{number:06d}{check_image(photo)}", photo.content

    with named(0):
        in_shards = isinstance(find_photo(root, names[0]), Member)
    numbers = range(len(names))
    loaded = map_ahead(load, numbers, threads=NUM_THREADS, ahead=2 * NUM_THREADS)
    files = track(loaded, total=len(names), title=f"{side} images")
    write_files(folder, files, in_shards=in_shards)


def find_photo(root: Path, name: str) -> Photo:
    """Find an image, which lies in the data set's folder or in a tar shard there.

    Args:
        root: The data set's folder.
        name: The image's path in it; of a shard's member as if it lay beside the shard.

    Raises:
        ValueError: As `find_image`, or if a shard is damaged.
        FileNotFoundError: If there is neither such a file nor such a member.
    """
    try:
        return find_image(root, name)
    except FileNotFoundError:
        member = find_member(root.resolve(), with_slashes(name))
        if member is not None:
            return member
        shards = count_shards(root.resolve())
        if not shards:
            raise
        raise FileNotFoundError(
            f"{name!r}: there is no such file in {root.resolve()}, nor in its {shards} tar shards, "
            "whose files count as if they lay beside the shard (links do not count: pack with "
            "tar --hard-dereference)"
        ) from None


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
        source = _find_same_text(home, with_slashes(name)) or source
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


def _find_same_text(home: Path, name: str) -> Path | None:
    found = home
    for part in PurePosixPath(name).parts:
        if not (found / part).exists():
            if not found.is_dir():
                return None
            entries = _entries(found, found.stat().st_mtime_ns)
            found /= entries.get(normalize("NFC", part), part)
        else:
            found /= part
    return found


@lru_cache(maxsize=64)
def _entries(folder: Path, _changed_ns: int) -> dict[str, str]:
    """List what a folder holds, by its names in the form NFC."""
    return {normalize("NFC", entry.name): entry.name for entry in folder.iterdir()}
