"""NetVLAD's clusters in an image: the winner at each position, and the keypoints on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape, load_features
from vpr.features.model import load_model
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints
from vpr.network.head import Head, load_head
from vpr.runtime.device import find_device


def assign_positions(
    head: Head, features: LocalFeatures, device: torch.device
) -> Iterator[NDArray[np.int64]]:
    """Find the cluster with the largest soft assignment at each position.

    Yields:
        Shape (num_scales, H', W') for each image, in order.
    """
    head = head.to(device)
    pool = head.netvlad()
    for run in batches_of_one_shape(features.shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = head.encode(features.maps(run).to(device))
            won = pool.assign(functional.normalize(maps, dim=1)).argmax(dim=1)  # (N, P)
        yield from won.view(len(won), head.num_scales, -1, maps.shape[3]).cpu().numpy()


def load_cluster_maps(
    features: Path, model: Path
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Find the winning clusters of a side's images, by a stored model.

    Returns:
        Maps (num_scales, H', W'), one for each image, and whether a cluster is present in an image,
        that is, wins at least one of its positions, shape (num_images, K).
    """
    head, stored = load_head(load_model(model)), load_features(features)
    clusters = head.netvlad().centroids
    maps = list(assign_positions(head, stored, find_device()))
    present = np.zeros((len(maps), len(clusters)), dtype=bool)
    for image, won in enumerate(maps):
        present[image, np.unique(won)] = True
    return maps, present


def clusters_of(keypoints: LocalPoints, won: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the clusters of each keypoint: those of its position, one at each scale.

    `won` is the cluster of each position of the image's maps, shape (num_scales, H', W').

    Returns:
        Shape (num_scales, num_keypoints).

    Raises:
        ValueError: If the maps do not fit the image's size.
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
        keypoints: Keypoints of the database.
        maps: Cluster of each position, (num_scales, H', W') for each image.
        clusters: Whether an image keeps a cluster, shape (num_images, K).

    Returns:
        Shape (num_keypoints,).

    Raises:
        ValueError: If there are not as many maps as images, or a map does not fit its image's size.
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
