"""Matchers that see both photos at once, as networks without a detector do."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.images.image_files import Photo, list_images, read_image
from vpr.matchers.base.detection import is_blank
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints, Rules, Verified
from vpr.matchers.base.matching import keep_inliers, refuse_ratio
from vpr.runtime.artefacts import link_file

Pixels = NDArray[np.uint8]  # RGB, (H, W, 3)
PHOTOS = "photos"  # in a folder of keypoints, so that only those who match photos need them


class PhotoMatcher(ABC):
    """A matcher that stores no points: it finds those of a pair in both photos."""

    name: str  # for messages

    def detect(self, pixels: Pixels, *, max_keypoints: int) -> LocalPoints:
        """Find no points, only the size that the photo is seen at."""
        none = np.empty((0, 2), np.float32), np.empty((0, 1), np.uint8)
        return LocalPoints(*none, (pixels.shape[0], pixels.shape[1]))

    @abstractmethod
    def match(
        self, query: Pixels, database: Pixels
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Find points of both photos that correspond, x and y in pixels, (num_matches, 2) each."""

    def find(self, query: LocalPoints, database: LocalPoints) -> tuple[LocalPoints, LocalPoints]:
        """Find the points of a pair; those in the same row match, and a blank photo has none."""
        photos = [see(image) for image in (query, database)]
        if any(map(is_blank, photos)):
            return query, database
        first, second = self.match(*photos)
        return replace(query, points=first), replace(database, points=second)

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        """Find the matches of a pair, as `find` returned it, that one geometry explains."""
        refuse_ratio(rules, self.name)
        rows = np.arange(len(query.points))
        return keep_inliers(np.stack([rows, rows], axis=1), query, database, rules)


def see(image: LocalPoints) -> Pixels:
    """Read the photo of some points.

    Raises:
        ValueError: If they do not say how, see `with_photos`.
    """
    if image.read is None:
        raise ValueError("expected points with their photo, for a matcher that sees it")
    return image.read()


def in_memory(image: LocalPoints) -> LocalPoints:
    """Read the photo of some points, if they have one, so that it is not read again."""
    return image if image.read is None else replace(image, read=partial(np.asarray, image.read()))


def save_photos(folder: Path, images: Path) -> None:
    """Add the photos to a folder of keypoints; DVC's cache has their bytes already."""
    shutil.rmtree(folder / PHOTOS, ignore_errors=True)  # of a run that was killed
    shutil.copytree(images, folder / PHOTOS, copy_function=_link)


def _link(file: str, path: str) -> None:
    link_file(Path(file), Path(path))


def with_photos(keypoints: Keypoints, folder: Path) -> Keypoints:
    """Add the photos that `save_photos` wrote, to be read at the size the keypoints were found at.

    Raises:
        ValueError: If the folder of keypoints has none.
    """
    if not (folder / PHOTOS).is_dir():
        raise ValueError(f"{folder / PHOTOS} is missing: make it by `dvc repro`")
    return replace(keypoints, read=partial(_read, list_images(folder / PHOTOS), keypoints.sizes))


def _read(photos: Sequence[Photo], sizes: NDArray[np.int64], number: int) -> Pixels:
    return read_image(photos[number], scale_to=int(sizes[number].max()))
