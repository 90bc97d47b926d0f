"""Stored local features: one row per position, image after image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.batches import one_by_one
from vpr.runtime.parts import Arrays, Rows, load_parts, save_part

# numpy has no bfloat16: its bits are stored as uint16.
STORED: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.bfloat16: np.dtype(np.uint16),
    torch.float16: np.dtype(np.float16),
}


NAMES = ("features", "shapes")  # arrays of a folder: rows of positions, and each map's H and W

NO_IMAGES: Arrays = (np.empty((0, 0), np.float32), np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class LocalFeatures:
    """Local features of a list of images, of any sizes.

    Args:
        rows: Rows (H * W, C) of each image, float32, float16 or uint16 (bfloat16's bits).
        shapes: Height and width of each image's map, shape (num_images, 2).
    """

    rows: Rows
    shapes: NDArray[np.int64]

    def first(self, num_images: int) -> LocalFeatures:
        """Select the features of the first images."""
        return LocalFeatures(self.rows.first(num_images), self.shapes[:num_images])

    def maps(self, images: Sequence[int]) -> Tensor:
        """Feature maps of images that have the same shape.

        Returns:
            Shape (N, C, H, W) in the type that was stored, in channels_last memory.
        """
        height, width = self.shapes[images[0]]
        stacked = torch.from_numpy(np.stack([self.rows.of(image) for image in images]))
        if stacked.dtype == torch.uint16:  # (N, H * W, C)
            stacked = stacked.view(torch.bfloat16)
        return stacked.view(len(images), height, width, -1).permute(0, 3, 1, 2)  # (N, C, H, W)


def features_of(rows: NDArray[Any], shapes: NDArray[np.int64]) -> LocalFeatures:
    """Make local features of rows in memory, (num_positions, C), of maps (num_images, 2)."""
    return LocalFeatures(Rows([rows], row_starts(shapes)), shapes)


def position_rows(maps: Tensor) -> NDArray[Any]:
    """Convert feature maps to the stored form: a row per position, image after image.

    Args:
        maps: Shape (N, C, H, W), float32, bfloat16 or float16, on the CPU.

    Returns:
        Shape (N * H * W, C); bfloat16 as its bits, in uint16.
    """
    rows = maps.permute(0, 2, 3, 1).flatten(0, 2).contiguous()  # (N * H * W, C)
    bits: NDArray[Any] = (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()
    return bits


def row_starts(shapes: NDArray[np.int64]) -> NDArray[np.int64]:
    """First row of each image, and the end, of maps of shapes (num_images, 2)."""
    return np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])


def arrays_of(maps: Tensor) -> Arrays:
    """List the arrays of one image's map, (1, C, H, W), in the order of `NAMES`."""
    return [position_rows(maps), np.array([maps.shape[2:]], dtype=np.int64)]


def save_features(folder: Path, maps: Iterable[Tensor]) -> None:
    """Write feature maps, (N, C, H, W) of one size each, to a new folder as one part."""
    save_part(folder, NAMES, map(arrays_of, chain.from_iterable(map(one_by_one, maps))))


def load_features(folder: Path) -> LocalFeatures:
    """Map the features of a folder, without reading them.

    Raises:
        ValueError: If its files disagree or hold anything but features.
    """
    parts, shape_parts = load_parts(folder, NAMES, what="local features")
    for rows, shapes in zip(parts, shape_parts, strict=True):
        if rows.ndim != 2 or rows.dtype not in STORED.values():
            raise ValueError(
                f"{folder}: expected (num_positions, C) of float32, float16 or uint16, found "
                f"{rows.shape} of {rows.dtype}"
            )
        if (
            shapes.ndim != 2
            or shapes.shape[1] != 2
            or shapes.dtype != np.int64
            or (shapes < 1).any()
        ):
            raise ValueError(f"{folder}: expected shapes (num_images, 2) of H, W >= 1")
        if len(rows) != row_starts(shapes)[-1]:
            raise ValueError(
                f"{folder}: shapes list {row_starts(shapes)[-1]} positions, features have "
                f"{len(rows)}"
            )
    shapes = np.concatenate(shape_parts)
    return LocalFeatures(Rows(parts, row_starts(shapes)), shapes)


def batches_of_one_shape(
    shapes: Sequence[tuple[int, int]] | NDArray[np.int64],
    *,
    max_area: int,
    area: Callable[[int, int], int] = operator.mul,
) -> Iterator[list[int]]:
    """Split a list of images into runs of neighbours that can be computed as one batch.

    Args:
        shapes: Height and width of each image, in pixels or positions.
        max_area: Largest sum of areas of a batch; a single image may be larger.
        area: Area that an image of a height and width counts as.

    Yields:
        Indices of a run, in order.
    """
    run: list[int] = []
    for index, (height, width) in enumerate(shapes):
        same = run and tuple(shapes[run[0]]) == (height, width)
        if run and (not same or (len(run) + 1) * area(int(height), int(width)) > max_area):
            yield run
            run = []
        run.append(index)
    if run:
        yield run
