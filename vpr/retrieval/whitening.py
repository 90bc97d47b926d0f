"""PCA-whitening of descriptors: the map, and its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.descriptors import row_blocks
from vpr.runtime.npz import load_arrays, save_arrays


@dataclass(frozen=True, eq=False)
class Whitening:
    """An affine map y = W x + b, after which descriptors have unit length again.

    Args:
        weight: W, shape (dim, descriptor_dim), float32.
        bias: b, shape (dim,), float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


OFF = Whitening(np.empty((0, 0), np.float32), np.empty(0, np.float32))


def whiten_rows(
    descriptors: NDArray[np.float32], whitening: Whitening
) -> Iterator[NDArray[np.float32]]:
    """Whitened descriptors, block by block.

    Args:
        descriptors: Unit rows, shape (num_images, descriptor_dim).
        whitening: The map.

    Yields:
        Unit rows (N, dim), in order.

    Raises:
        ValueError: If the map is for descriptors of another width.
    """
    if descriptors.shape[1] != whitening.weight.shape[1]:
        raise ValueError(
            f"the whitening is for descriptors of {whitening.weight.shape[1]} dimensions, these "
            f"have {descriptors.shape[1]}"
        )
    for rows in row_blocks(descriptors):
        mapped = descriptors[rows] @ whitening.weight.T + whitening.bias
        yield mapped / np.linalg.norm(mapped, axis=1, keepdims=True)


def save_whitening(path: Path, whitening: Whitening | None) -> None:
    """Write a whitening, or that there is none; equal ones give equal bytes."""
    written = whitening or OFF
    save_arrays(path, {"weight": written.weight, "bias": written.bias})


def load_whitening(path: Path) -> Whitening | None:
    """Read what `save_whitening` wrote.

    Raises:
        ValueError: If the file is damaged or holds anything but a map of finite numbers.
    """
    weight, bias = load_arrays(path, ("weight", "bias"), what="a whitening")
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or {weight.dtype, bias.dtype} != {
        np.dtype(np.float32)
    }:  # fmt: skip
        raise ValueError(
            f"{path}: expected weight (dim, descriptor_dim) and bias (dim,) of float32, found "
            f"{weight.shape} of {weight.dtype} and {bias.shape} of {bias.dtype}"
        )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError(f"{path}: has values that are not finite")
    return Whitening(weight, bias) if len(weight) else None
