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
        ratio: A match counts if it is nearer than this share of the distance to the second-nearest
            of the other image (Lowe, IJCV 2004, section 7.1); the only one of its image passes.

    Returns:
        Rows of first and second, shape (num_matches, 2), in first's order.
    """
    if not len(first) or not len(second):
        return np.empty((0, 2), dtype=np.int64)
    likeness = first @ second.T  # (num_first, num_second)
    there = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[there] == np.arange(len(first))
    best = likeness[np.arange(len(first)), there]
    if len(second) == 1:
        clear = np.ones(len(first), dtype=bool)
    else:
        runner_up = np.partition(likeness, -2, axis=1)[:, -2]
        clear = 1 - best < ratio**2 * (1 - runner_up)  # squares of the distances, halved
    rows = np.flatnonzero(mutual & clear)
    return np.stack([rows, there[rows]], axis=1)
