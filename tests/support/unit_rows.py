"""Descriptors drawn from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def as_unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same directions with length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unit_rows(count: int, dim: int, seed: int) -> NDArray[np.float32]:
    """Rows of random directions, shape (count, dim)."""
    return as_unit(np.random.default_rng(seed).normal(size=(count, dim)))
