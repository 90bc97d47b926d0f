"""Utility of NetVLAD's clusters, for the environment and for each place, and keypoints on them.

Keetha, Milford and Garg, "A Hierarchical Dual Model of Environment- and Place-Specific Utility for
Visual Place Recognition", RA-L 2021. A cluster is useful where its block of the descriptor differs
between places; both numbers come from the reference map only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch.nn import functional

from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape, load_features
from vpr.features.model import load_model
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints
from vpr.network.head import Head, load_head
from vpr.places.radius import is_within
from vpr.runtime.device import find_device


def find_negatives(coordinates: NDArray[np.float64], *, radius_m: float) -> NDArray[np.bool_]:
    """Reference images of other places: those farther than twice the radius.

    Coordinates are eastings and northings in metres, shape (num_images, 2).

    Returns:
        Shape (num_images, num_images).

    Raises:
        ValueError: If a reference has no negative; the message names the first.
    """
    negatives = ~np.stack(
        [is_within(coordinates, place, radius_m=2 * radius_m) for place in coordinates]
    )
    without = np.flatnonzero(~negatives.any(axis=1))
    if len(without):
        raise ValueError(
            f"utility: database image {without[0]} has no negative: every other image is within "
            f"{2 * radius_m:g} m of it, twice the radius. Set utility.keep: all, or take a larger "
            "map or a smaller prepare.radius_m"
        )
    return negatives


def measure_utility(
    descriptors: NDArray[np.float32], present: NDArray[np.bool_], negatives: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Environment-specific and place-specific utility of each cluster.

    With D_jk[i] the distance between the blocks of cluster i in references j and k:
    PS_j[i] = 1 + mean of D_jk[i] over j's negatives k where i is present in j, else 0;
    ES[i] = sum of D_jk[i] over all j in which i is present and their negatives k, divided by
    n (n - 1), n being the number of references.

    Args:
        descriptors: Final descriptors, cluster after cluster, shape (n, K * C).
        present: Whether a cluster wins a position of a reference, shape (n, K).
        negatives: Which references are of other places, shape (n, n); at least one in each row.

    Returns:
        ES of shape (K,) and PS of shape (n, K).
    """
    count, num_clusters = len(descriptors), present.shape[1]
    blocks = np.asarray(descriptors, np.float64).reshape(count, num_clusters, -1)
    sums = np.stack(
        [(cdist(block, block) * negatives).sum(axis=1) for block in blocks.transpose(1, 0, 2)],
        axis=1,
    )  # (n, K)
    environment: NDArray[np.float64] = (sums * present).sum(axis=0) / (count * (count - 1))
    place = np.where(present, 1 + sums / negatives.sum(axis=1, keepdims=True), 0.0)
    return environment, place


def split_in_two(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Split numbers into two groups, by 2-means in one dimension, exactly.

    The groups of the best 2-means are neighbours in order, so that every split is tried; of equally
    good ones the first counts.

    Returns:
        Whether a value is in the upper group, shape (n,); none is if all are equal.
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    if ascending[0] == ascending[-1]:
        return np.zeros(len(values), dtype=bool)
    within = [
        len(lower) * lower.var() + len(upper) * upper.var()
        for lower, upper in (np.split(ascending, [cut]) for cut in range(1, len(values)))
    ]
    above = np.zeros(len(values), dtype=bool)
    above[order[int(np.argmin(within)) + 1 :]] = True
    return above


def find_low_clusters(environment: NDArray[np.float64], *, mode: str) -> NDArray[np.bool_]:
    """Find the clusters of low environment-specific utility.

    Args:
        environment: ES of each cluster, shape (K,).
        mode: `paper`: the group of 2-means with the lower mean. `released`: the group that holds
            cluster 0, which the authors' code takes for the former.

    Returns:
        Shape (K,); no cluster is low if all are equal.
    """
    above = split_in_two(environment)
    if not above.any():
        return above
    low: NDArray[np.bool_] = ~above if mode == "paper" else above == above[0]
    return low


def choose_clusters(
    place: NDArray[np.float64], low: NDArray[np.bool_], *, keep: str, top: int
) -> NDArray[np.bool_]:
    """Choose the clusters of each reference whose features are worth keeping.

    Args:
        place: PS of each reference and cluster, 0 where a cluster is absent, shape (n, K).
        low: Clusters of low environment-specific utility, shape (K,).
        keep: `environment`: all but the low ones. `place`: those with the highest PS. `both`: of
            the former, those with the highest PS.
        top: Number of clusters with the highest PS; equal ones by lower number.

    Returns:
        Shape (n, K); only clusters that are present.
    """
    useful = place > 0
    if keep in ("environment", "both"):
        useful &= ~low
    if keep in ("place", "both"):
        order = np.argsort(-np.where(useful, place, 0), axis=1, kind="stable")
        best = np.zeros_like(useful)
        np.put_along_axis(best, order[:, :top], values=True, axis=1)
        useful &= best
    return useful


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
        ValueError: If a map does not fit its image's size.
    """
    kept = [
        clusters[image, clusters_of(keypoints.of(image), won)].any(axis=0)
        for image, won in enumerate(maps)
    ]
    return np.concatenate(kept)
