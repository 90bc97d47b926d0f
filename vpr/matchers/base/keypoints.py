"""Stored keypoints: positions of corners and blobs in images, and their descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints
from vpr.runtime.npz import load_array

TYPES = (np.uint8, np.float16, np.float32)  # of descriptors


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of a list of images, image after image.

    Args:
        points: Shape (num_keypoints, 2), as in `LocalPoints`.
        descriptors: Shape (num_keypoints, dim), as in `LocalPoints`.
        sizes: Height and width of each image, shape (num_images, 2).
        starts: First keypoint of each image, and the end, shape (num_images + 1,).
        read: Reads an image by its number, see `LocalPoints`.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[Any]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    read: Callable[[int], NDArray[np.uint8]] | None = None

    @property
    def bytes_each(self) -> int:
        """Bytes of one keypoint's position and descriptor."""
        return sum(rows.itemsize * rows.shape[1] for rows in (self.points, self.descriptors))

    def of(self, image: int) -> LocalPoints:
        """Select the keypoints of one image."""
        rows = slice(int(self.starts[image]), int(self.starts[image + 1]))
        height, width = self.sizes[image].tolist()
        read = None if self.read is None else partial(self.read, image)
        return LocalPoints(self.points[rows], self.descriptors[rows], (height, width), read)

    def only(self, kept: NDArray[np.bool_]) -> Keypoints:
        """Keep some keypoints of the same images; kept has shape (num_keypoints,)."""
        before = np.concatenate([[0], np.cumsum(kept)])  # (num_keypoints + 1,)
        rows = self.points[kept], self.descriptors[kept]
        return Keypoints(*rows, self.sizes, before[self.starts], self.read)


def save_keypoints(folder: Path, images: Iterable[LocalPoints]) -> None:
    """Write keypoints: `points.npy`, `descriptors.npy`, and `images.npy` with count, height, width.

    Args:
        folder: Folder to create.
        images: Keypoints of each image, in order; no images at all give a folder of empty arrays.
    """
    listed = list(images)
    folder.mkdir()
    rows = [(len(image.points), *image.size) for image in listed]
    points = [image.points for image in listed] or [np.empty((0, 2), np.float32)]
    descriptors = [image.descriptors for image in listed] or [np.empty((0, 128), np.uint8)]
    np.save(folder / "points.npy", np.concatenate(points))
    np.save(folder / "descriptors.npy", np.concatenate(descriptors))
    np.save(folder / "images.npy", np.array(rows, dtype=np.int64).reshape(-1, 3))


def load_keypoints(folder: Path) -> Keypoints:
    """Read what `save_keypoints` wrote.

    Raises:
        ValueError: If the three files disagree or hold anything but keypoints.
    """
    points, descriptors, images = (
        load_array(folder / f"{name}.npy", what="a file of keypoints")
        for name in ("points", "descriptors", "images")
    )
    for array, width, kind in ((points, 2, np.float32), (images, 3, np.int64)):
        if array.ndim != 2 or array.shape[1] != width or array.dtype != kind:
            raise ValueError(
                f"{folder}: expected keypoints (rows, {width}) of {np.dtype(kind)}, found "
                f"{array.shape} of {array.dtype}"
            )
    if descriptors.ndim != 2 or descriptors.dtype not in TYPES:
        raise ValueError(
            f"{folder}: expected descriptors (rows, dim) of uint8, float16 or float32, found "
            f"{descriptors.shape} of {descriptors.dtype}"
        )
    finite = np.isfinite(points).all() and np.isfinite(descriptors).all()
    if (images < [0, 1, 1]).any() or not finite:
        raise ValueError(
            f"{folder}: expected counts of 0 or more, sizes of 1 pixel or more and finite values"
        )
    starts = np.concatenate([[0], np.cumsum(images[:, 0])])
    if not starts[-1] == len(points) == len(descriptors):
        raise ValueError(
            f"{folder}: images.npy lists {starts[-1]} keypoints, points.npy has {len(points)}, "
            f"descriptors.npy {len(descriptors)}"
        )
    return Keypoints(points, descriptors, images[:, 1:], starts)
