"""PCA-whitening of descriptors: the map, and how it goes by in files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.retrieval.descriptors import row_blocks

NAMES = ("WPCA.0.weight", "WPCA.0.bias")  # of the reference, which has it as a 1x1 convolution


@dataclass(frozen=True, eq=False)
class Whitening:
    """An affine map y = W x + b, after which descriptors have unit length again.

    Args:
        weight: W, shape (dim, descriptor_dim), float32.
        bias: b, shape (dim,), float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


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


def find_whitening(state: dict[str, Tensor], *, dim: int | None = None) -> Whitening | None:
    """Find the whitening among tensors, cut to its first directions, which vary most.

    Args:
        state: Tensors by name.
        dim: Directions to keep; None: all.

    Returns:
        The map, or None if there is none.

    Raises:
        ValueError: If the whitening has fewer directions.
    """
    if NAMES[0] not in state:
        return None
    weight, bias = (state[name].flatten(1 if name == NAMES[0] else 0).numpy() for name in NAMES)
    if dim is not None and dim > len(weight):
        raise ValueError(
            f"whiten.dim = {dim}: the weights bring a whitening to {len(weight)} dimensions: set "
            "it to that or less"
        )
    return Whitening(weight[:dim], bias[:dim])


def whitening_state(whitening: Whitening | None) -> dict[str, Tensor]:
    """Name a whitening as the reference does, as a 1x1 convolution; empty if there is none."""
    if whitening is None:
        return {}
    weight = torch.from_numpy(whitening.weight)[:, :, None, None]
    return dict(zip(NAMES, (weight, torch.from_numpy(whitening.bias)), strict=True))
