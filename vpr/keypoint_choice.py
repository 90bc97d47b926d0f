"""Keypoints of the database that re-ranking keeps, by the cluster of the place they lie on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.keypoints import ImageKeypoints, Keypoints


def clusters_of(keypoints: ImageKeypoints, won: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cluster of each keypoint: that of the position of the map which it falls on.

    Args:
        keypoints: Of an image.
        won: Cluster of each position of the same image's map, shape (H', W').

    Returns:
        Shape (num_keypoints,).

    Raises:
        ValueError: If the map has not the image's form, as the stacked scales of dense RootSIFT.
    """
    height, width = keypoints.size
    rows, columns = won.shape
    step = max(height, width) / max(rows, columns)  # pixels between positions
    if abs(height / step - rows) >= 1 or abs(width / step - columns) >= 1:
        raise ValueError(
            f"utility.keep: a map of {rows}x{columns} positions does not lie on an image of "
            f"{height}x{width} pixels: it needs an encoder with one map for each image, as vgg16"
        )
    column, row = (keypoints.points / [width, height] * [columns, rows]).astype(np.int64).T
    clusters: NDArray[np.int64] = won[row.clip(0, rows - 1), column.clip(0, columns - 1)]
    return clusters


def choose_keypoints(
    keypoints: Keypoints, maps: Sequence[NDArray[np.int64]], clusters: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keypoints that lie on a cluster that their image keeps.

    Args:
        keypoints: Of the database.
        maps: Cluster of each position, (H', W') for each image.
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
        clusters[image, clusters_of(keypoints.of(image), won)] for image, won in enumerate(maps)
    ]
    return np.concatenate(kept)
