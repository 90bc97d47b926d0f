"""Gathering the images of one side into a folder of their own, named by index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vpr.console.progress import track
from vpr.images.image_files import Photo, encoded_image
from vpr.images.inspection import INSPECTION, Inspection, inspect_image
from vpr.images.known_photos import UNKNOWN, KnownPhotos
from vpr.images.known_shards import write_files
from vpr.images.shards import Member
from vpr.places.photos import find_photo
from vpr.runtime.ordered_map import map_ahead

NUM_THREADS = 4  # decoding releases the interpreter


@dataclass(frozen=True)
class ImageFacts:
    """One image of a set: what it is, or why it cannot be used.

    Args:
        side: Database or query.
        number: Number of its row.
        name: Name in the ground truth.
        seen: Facts about its pixels, if it decodes to the end.
        problem: Else why not.
        is_missing: Whether there is no such file.
    """

    side: str
    number: int
    name: str
    seen: Inspection | None = None
    problem: str | None = None
    is_missing: bool = False

    @property
    def label(self) -> str:
        """Side, index and name, for messages."""
        return f"{self.side} image {self.number} ({self.name!r})"


def gather_images(
    root: Path,
    names: Sequence[str],
    folder: Path,
    *,
    side: str,
    known: KnownPhotos = UNKNOWN,
) -> list[ImageFacts]:
    """Check each image, and copy its bytes unchanged to `000000.jpg`, `000001.jpg`, ...

    They become files of the folder; of a side whose first image lies in a tar shard, members of
    shards there, so that a side that came in a few large files stays in a few.

    Args:
        root: The data set's folder.
        names: Names of the images relative to it.
        folder: The folder to create.
        side: Database or query, for the messages.
        known: Facts about images that are not decoded again.

    Raises:
        ValueError: If an image is missing, lies outside the folder or does not decode; one message
            names it by side, index and name.
    """
    folder.mkdir(parents=True)
    facts: list[ImageFacts] = []

    @contextmanager
    def named(number: int) -> Iterator[None]:
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"{side} image {number}: {error}") from None

    def find(number: int) -> Photo:
        with named(number):
            return find_photo(root, names[number])

    def inspect(number: int) -> Inspection:
        with named(number):
            return inspect_image(photos[number])

    def compute(new: Sequence[int]) -> Iterator[Inspection]:
        seen = map_ahead(inspect, new, threads=NUM_THREADS, ahead=2 * NUM_THREADS)
        return track(seen, total=len(new), title=f"{side} images")

    def files(inspections: Iterable[Inspection]) -> Iterator[tuple[str, bytes]]:
        for number, seen in enumerate(inspections):
            facts.append(ImageFacts(side, number, names[number], seen))
            yield f"{number:06d}{seen.suffix}", encoded_image(photos[number]).content

    photos = list(map(find, range(len(names))))
    inspections = known.look_up(f"{side} images", photos, compute, INSPECTION)
    in_shards = isinstance(photos[0], Member)
    write_files(folder, files(inspections), in_shards=in_shards, known=known)
    return facts


def survey_images(root: Path, names: Sequence[str], *, side: str) -> list[ImageFacts]:
    """Look at each image as `gather_images` does, and say what is wrong with those it would refuse.

    Args:
        root: The data set's folder.
        names: Names of the images relative to it.
        side: Database or query.
    """

    def look_at(number: int) -> ImageFacts:
        facts = ImageFacts(side, number, names[number])
        try:
            photo = encoded_image(find_photo(root, facts.name))
        except (ValueError, FileNotFoundError) as error:
            words = str(error).removeprefix(f"{facts.name!r}: ")
            return replace(facts, problem=words, is_missing=True)
        try:
            return replace(facts, seen=inspect_image(photo))
        except ValueError as error:
            return replace(facts, problem=str(error).removeprefix(f"{photo.path}: "))

    numbers = range(len(names))
    seen = map_ahead(look_at, numbers, threads=NUM_THREADS, ahead=2 * NUM_THREADS)
    return list(track(seen, total=len(names), title=f"{side} images"))
