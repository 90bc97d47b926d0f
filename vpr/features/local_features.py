"""Stored local features: one row per position, image after image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.runtime.npz import load_array

# numpy has no bfloat16: its bits are stored as uint16.
STORED: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.bfloat16: np.dtype(np.uint16),
    torch.float16: np.dtype(np.float16),
}


@dataclass(frozen=True)
class LocalFeatures:
    """Local features of a list of images, of any sizes.

    Args:
        rows: Shape (num_positions, C), float32, float16 or uint16 (bfloat16's bits), usually
            mapped.
        shapes: Height and width of each image's map, shape (num_images, 2).
        starts: First row of each image, and the end, shape (num_images + 1,).
    """

    rows: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64]

    def first(self, num_images: int) -> LocalFeatures:
        """Select the features of the first images."""
        starts = self.starts[: num_images + 1]
        return LocalFeatures(self.rows[: starts[-1]], self.shapes[:num_images], starts)

    def maps(self, images: Sequence[int]) -> Tensor:
        """Feature maps of images that have the same shape.

        Returns:
            Shape (N, C, H, W) in the type that was stored, in channels_last memory.
        """
        height, width = self.shapes[images[0]]
        parts = [self.rows[self.starts[image] : self.starts[image + 1]] for image in images]
        stacked = torch.from_numpy(np.stack(parts))  # (N, H * W, C)
        if stacked.dtype == torch.uint16:
            stacked = stacked.view(torch.bfloat16)
        return stacked.view(len(images), height, width, -1).permute(0, 3, 1, 2)  # (N, C, H, W)


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


def load_features(folder: Path) -> LocalFeatures:
    """Map the features of a folder, without reading them.

    Raises:
        ValueError: If the two files disagree or hold anything but features.
    """
    rows = load_array(folder / "features.npy", what="a file of local features", mapped=True)
    shapes = load_array(folder / "shapes.npy", what="a file of shapes")
    if rows.ndim != 2 or rows.dtype not in STORED.values():
        raise ValueError(
            f"{folder / 'features.npy'}: expected (num_positions, C) of float32, float16 or "
            f"uint16, found {rows.shape} of {rows.dtype}"
        )
    if shapes.ndim != 2 or shapes.shape[1] != 2 or shapes.dtype != np.int64 or (shapes < 1).any():
        raise ValueError(f"{folder / 'shapes.npy'}: expected (num_images, 2) of H, W >= 1")
    starts = row_starts(shapes)
    if starts[-1] != len(rows):
        raise ValueError(
            f"{folder}: shapes.npy lists {starts[-1]} positions, features.npy has {len(rows)}"
        )
    return LocalFeatures(rows, shapes, starts)


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
