"""What the images of a data set are like, each looked at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vpr.console.progress import track
from vpr.datasets.ground_truth import GroundTruth
from vpr.images.image_files import encoded_image, inspect_image
from vpr.places.gathering import find_photo

NUM_THREADS = 4  # decoding releases the interpreter


@dataclass(frozen=True)
class ImageFacts:
    """One image, as its file tells.

    Args:
        label: Side, index and name, as the stages' messages have them.
        name: As the ground truth has it.
        file: The file, or where it lies in its shard; None if there is neither.
        problem: Why the image cannot be used, or None.
        digest: SHA-256 of the file's bytes.
        size_px: Width and height as stored.
        mode: Pillow's name of the pixel format.
        is_turned: Whether its EXIF data ask for a rotation or mirroring.
        is_large: Whether it is decoded only with a limit to its longer side.
        brightest: Largest level of any colour as read, 0 to 255.
    """

    label: str
    name: str
    file: Path | None = None
    problem: str | None = None
    digest: str = ""
    size_px: tuple[int, int] = (0, 0)
    mode: str = ""
    is_turned: bool = False
    is_large: bool = False
    brightest: int = 255


def survey_images(root: Path, truth: GroundTruth) -> list[ImageFacts]:
    """Look at every image of a data set, the database's first.

    Nothing is raised for an image that is missing or damaged: its facts say so.

    Args:
        root: The data set's folder.
        truth: Both sides of the set.
    """
    sides = (("database", truth.database.paths), ("query", truth.query.paths))
    labelled = [
        (f"{side} image {number} ({name!r})", name)
        for side, names in sides
        for number, name in enumerate(names)
    ]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        done = pool.map(lambda one: _look_at(root, *one), labelled)
        return list(track(done, total=len(labelled), title="images"))


def usable(facts: Sequence[ImageFacts]) -> list[ImageFacts]:
    """Keep those without a problem."""
    return [one for one in facts if one.problem is None]


def _look_at(root: Path, label: str, name: str) -> ImageFacts:
    try:
        photo = encoded_image(find_photo(root, name))
    except (ValueError, FileNotFoundError) as error:
        return ImageFacts(label, name, problem=str(error).removeprefix(f"{name!r}: "))
    try:
        found = inspect_image(photo)
    except ValueError as error:
        return ImageFacts(label, name, photo.path, str(error).removeprefix(f"{photo.path}: "))
    digest = hashlib.sha256(photo.content).hexdigest()
    return ImageFacts(
        label, name, photo.path, None, digest, found.size_px, found.mode, is_turned=found.is_turned,
        is_large=found.is_large, brightest=found.brightest,
    )  # fmt: skip
