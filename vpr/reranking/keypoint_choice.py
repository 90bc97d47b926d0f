"""Keypoints of the database that re-ranking keeps, by the cluster of the place they lie on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints


def clusters_of(keypoints: LocalPoints, won: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the clusters of each keypoint: those of its position, one at each scale.

    Args:
        keypoints: Of an image.
        won: Cluster of each position of the same image's maps, shape (num_scales, H', W').

    Returns:
        Shape (num_scales, num_keypoints).

    Raises:
        ValueError: If the maps have not the image's form.
    """
    height, width = keypoints.size
    rows, columns = won.shape[1:]
    step = max(height, width) / max(rows, columns)  # pixels between positions
    if abs(height / step - rows) >= 1 or abs(width / step - columns) >= 1:
        raise ValueError(
            f"utility.keep: a map of {rows}x{columns} positions does not lie on an image of "
            f"{height}x{width} pixels"
        )
    # By the step: what is left over at the right and below has no position of its own.
    column, row = (keypoints.points / step).astype(np.int64).T
    clusters: NDArray[np.int64] = won[:, row.clip(0, rows - 1), column.clip(0, columns - 1)]
    return clusters


def choose_keypoints(
    keypoints: Keypoints, maps: Sequence[NDArray[np.int64]], clusters: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Choose keypoints that lie on a cluster that their image keeps, at any scale.

    Args:
        keypoints: Of the database.
        maps: Cluster of each position, (num_scales, H', W') for each image.
        clusters: Whether an image keeps a cluster, shape (num_images, K).

    Returns:
        Shape (num_keypoints,).

    Raises:
        ValueError: If there are not as many maps as images, or one has not its image's form.
    """
    if len(maps) != len(keypoints.sizes):
        raise ValueError(
            f"number of database images: {len(keypoints.sizes)} with keypoints, {len(maps)} with "
            "local features"
        )
    kept = [
        clusters[image, clusters_of(keypoints.of(image), won)].any(axis=0)
        for image, won in enumerate(maps)
    ]
    return np.concatenate(kept)
