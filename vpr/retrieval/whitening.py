"""PCA-whitening of descriptors: found in a checkpoint or fitted on the database, applied, stored.

torch and scikit-learn are imported where they are used: both take seconds, and applying needs
neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vpr.retrieval.descriptors import row_blocks
from vpr.runtime.npz import load_arrays, save_arrays

if TYPE_CHECKING:
    from torch import Tensor

MAX_ROWS = 10_000  # descriptors to fit on; Patch-NetVLAD takes as many
NAMES = ("WPCA.0.weight", "WPCA.0.bias")  # in the reference, where it is a 1x1 convolution


@dataclass(frozen=True, eq=False)
class Whitening:
    """An affine map y = W x + b, after which descriptors are scaled to unit length again.

    Args:
        weight: W, shape (dim, descriptor_dim), float32.
        bias: b, shape (dim,), float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


OFF = Whitening(np.empty((0, 0), np.float32), np.empty(0, np.float32))


def fit_whitening(descriptors: NDArray[np.float32], *, dim: int) -> Whitening:
    """Fit directions of largest variance, each scaled to variance 1.

    W = diag(variances)^-1/2 U', b = -W mean (Jégou and Chum, ECCV 2012), as the references do. A
    large database is represented by 10,000 evenly spaced rows.

    Args:
        descriptors: Unit rows of the database, shape (num_images, descriptor_dim).
        dim: Directions to keep.

    Returns:
        The map to `dim` dimensions.

    Raises:
        ValueError: If the database does not span that many directions.
    """
    from sklearn.decomposition import PCA

    rows = np.unique(np.linspace(0, len(descriptors) - 1, MAX_ROWS).round().astype(np.int64))
    sample = descriptors[rows]
    most = min(len(sample) - 1, sample.shape[1])
    if dim > most:
        raise ValueError(
            f"whiten.dim = {dim}: {len(sample)} database descriptors of {sample.shape[1]} "
            f"dimensions span at most {most} directions"
        )
    tall = len(sample) > sample.shape[1]
    with threadpool_limits(1):  # the order of sums, and so the bits
        fitted = PCA(dim, svd_solver="covariance_eigh" if tall else "full").fit(sample)
    spread = np.sqrt(fitted.explained_variance_)
    if not spread[-1] > 1e-6 * spread[0]:
        raise ValueError(
            f"whiten.dim = {dim}: the database's descriptors have no spread in that many "
            "directions (are images repeated?): decrease it"
        )
    # In the memory order that it has once weights bring it: products' last bits depend on it.
    weight = np.ascontiguousarray(fitted.components_ / spread[:, None], dtype=np.float32)
    return Whitening(weight, -weight @ fitted.mean_.astype(np.float32))


def find_whitening(state: Mapping[str, Tensor], *, dim: int) -> Whitening | None:
    """Find the whitening among tensors, cut to its first `dim` directions, which vary most.

    Returns:
        The map, or None if there is none.

    Raises:
        ValueError: If the whitening has fewer directions.
    """
    if NAMES[0] not in state:
        return None
    weight, bias = (state[name].flatten(1 if name == NAMES[0] else 0).numpy() for name in NAMES)
    if dim > len(weight):
        raise ValueError(
            f"whiten.dim = {dim}: the weights bring a whitening to {len(weight)} dimensions: set "
            "it to that or less"
        )
    return Whitening(weight[:dim], bias[:dim])


def whitening_state(whitening: Whitening | None) -> dict[str, Tensor]:
    """Name a whitening like the reference, as a 1x1 convolution; empty if there is none."""
    if whitening is None:
        return {}
    import torch

    weight = torch.from_numpy(whitening.weight)[:, :, None, None]
    return dict(zip(NAMES, (weight, torch.from_numpy(whitening.bias)), strict=True))


def whiten_rows(
    descriptors: NDArray[np.float32], whitening: Whitening
) -> Iterator[NDArray[np.float32]]:
    """Whiten descriptors, unit rows (num_images, descriptor_dim), block by block.

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
