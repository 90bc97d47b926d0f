"""Stored keypoints: positions of corners and blobs in images, and their descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints
from vpr.runtime.parts import Arrays, Rows, load_parts, save_part

TYPES = (np.uint8, np.float16, np.float32)  # of descriptors
NAMES = ("points", "descriptors", "images")  # arrays of a folder; images: count, height, width


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of a list of images, image after image.

    Args:
        points: Rows (num_points, 2) of each image, as in `LocalPoints`.
        descriptors: Rows (num_points, dim) of each image, as in `LocalPoints`.
        sizes: Height and width of each image, shape (num_images, 2).
        read: Reads an image by its number, see `LocalPoints`.
        kept: Which of all keypoints count, shape (num_keypoints,); None: all.
        source: Where they come from, for messages.
    """

    points: Rows
    descriptors: Rows
    sizes: NDArray[np.int64]
    read: Callable[[int], NDArray[np.uint8]] | None = None
    kept: NDArray[np.bool_] | None = None
    source: str = "keypoints"

    def __len__(self) -> int:
        """Count the keypoints of all images, kept or not."""
        return int(self.points.starts[-1])

    @property
    def bytes_each(self) -> int:
        """Bytes of one keypoint's position and descriptor."""
        arrays = (rows.arrays[0] for rows in (self.points, self.descriptors))
        return sum(array.itemsize * array.shape[1] for array in arrays)

    def of(self, image: int) -> LocalPoints:
        """Read the keypoints of one image.

        Raises:
            ValueError: If they are NaN or infinite.
        """
        points, rows = (np.array(rows.of(image)) for rows in (self.points, self.descriptors))
        if not (np.isfinite(points).all() and np.isfinite(rows).all()):
            raise ValueError(f"{self.source}: the keypoints of image {image} are NaN or infinite")
        if self.kept is not None:
            start, end = self.points.starts[image : image + 2]
            points, rows = points[self.kept[start:end]], rows[self.kept[start:end]]
        height, width = self.sizes[image].tolist()
        read = None if self.read is None else partial(self.read, image)
        return LocalPoints(points, rows, (height, width), read)

    def only(self, kept: NDArray[np.bool_]) -> Keypoints:
        """Keep some keypoints of the same images; kept has shape (num_keypoints,)."""
        return replace(self, kept=None if kept.all() else kept)


def arrays_of(image: LocalPoints) -> Arrays:
    """List the arrays of one image's keypoints, in the order of `NAMES`."""
    row = np.array([[len(image.points), *image.size]], dtype=np.int64)
    return [image.points, image.descriptors, row]


NO_IMAGES: Arrays = (
    np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8), np.empty((0, 3), np.int64)
)  # fmt: skip


def save_keypoints(folder: Path, images: Iterable[LocalPoints]) -> None:
    """Write the keypoints of each image, in order, to a new folder as one part; perhaps of none."""
    arrays = [arrays_of(image) for image in images] or [NO_IMAGES]
    save_part(folder, NAMES, arrays)


def load_keypoints(folder: Path) -> Keypoints:
    """Map the keypoints of a folder; what they hold is checked when it is read.

    Raises:
        ValueError: If its files disagree or hold anything but keypoints.
    """
    points, descriptors, images = load_parts(folder, NAMES, what="keypoints")
    for arrays, width, kind in ((points, 2, np.float32), (images, 3, np.int64)):
        for array in arrays:
            if array.ndim != 2 or array.shape[1] != width or array.dtype != kind:
                raise ValueError(
                    f"{folder}: expected keypoints (rows, {width}) of {np.dtype(kind)}, found "
                    f"{array.shape} of {array.dtype}"
                )
    for array in descriptors:
        if array.ndim != 2 or array.dtype not in TYPES:
            raise ValueError(
                f"{folder}: expected descriptors (rows, dim) of uint8, float16 or float32, found "
                f"{array.shape} of {array.dtype}"
            )
    if any((rows < [0, 1, 1]).any() for rows in images):
        raise ValueError(f"{folder}: expected counts of 0 or more, sizes of 1 pixel or more")
    for found, described, rows in zip(points, descriptors, images, strict=True):
        if not rows[:, 0].sum() == len(found) == len(described):
            raise ValueError(
                f"{folder}: images list {rows[:, 0].sum()} keypoints, points have {len(found)}, "
                f"descriptors {len(described)}"
            )
    counts = np.concatenate(images)
    starts = np.concatenate([[0], np.cumsum(counts[:, 0])])
    return Keypoints(
        Rows(points, starts), Rows(descriptors, starts), counts[:, 1:], source=str(folder)
    )
