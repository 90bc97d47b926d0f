"""Matching the keypoints of two images by what they look like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def match_mutually(
    first: NDArray[np.float32], second: NDArray[np.float32], *, ratio: float
) -> NDArray[np.int64]:
    """Match keypoints that are each other's nearest and pass Lowe's ratio test.

    Args:
        first: Unit descriptors of one image, shape (num_first, dim).
        second: Those of the other, shape (num_second, dim).
        ratio: Of the ratio test, see `choose_mutual`.

    Returns:
        Rows of first and second, shape (num_matches, 2), in first's order.
    """
    return choose_mutual(first @ second.T, ratio=ratio)


def choose_mutual(likeness: NDArray[np.float32], *, ratio: float) -> NDArray[np.int64]:
    """Choose what is most alike in both directions and passes Lowe's ratio test.

    Args:
        likeness: Cosines, shape (num_first, num_second).
        ratio: A match counts if it is nearer than this share of the distance to the second-nearest
            of the other image (Lowe, IJCV 2004, section 7.1); the only one of its image passes.

    Returns:
        Rows and columns, shape (num_matches, 2), in the rows' order.
    """
    num_first, num_second = likeness.shape
    if not num_first or not num_second:
        return np.empty((0, 2), dtype=np.int64)
    there = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[there] == np.arange(num_first)
    best = likeness[np.arange(num_first), there]
    if num_second == 1:
        clear = np.ones(num_first, dtype=bool)
    else:
        runner_up = np.partition(likeness, -2, axis=1)[:, -2]
        clear = 1 - best < ratio**2 * (1 - runner_up)  # squares of the distances, halved
    rows = np.flatnonzero(mutual & clear)
    return np.stack([rows, there[rows]], axis=1)
