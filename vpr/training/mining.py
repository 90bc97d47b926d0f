"""Choosing triplets: an anchor, a positive and a negative, all of the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.places.positives import positives_of
from vpr.places.radius import is_within

POOL_SIZE = 1000  # negatives considered for an anchor, as in the references


@dataclass(frozen=True)
class Triplets:
    """The triplets of one epoch.

    Args:
        images: Anchor, positive and negative, shape (num_triplets, 3).
        num_skipped: Anchors for which no negative violates the margin.
    """

    images: NDArray[np.int64]
    num_skipped: int


def find_anchors(positives: csr_array) -> NDArray[np.int64]:
    """Find images that have a positive other than themselves.

    Returns:
        Indices, ascending.

    Raises:
        ValueError: If there is none.
    """
    anchors = np.flatnonzero(np.diff(positives.indptr))
    if len(anchors) == 0:
        raise ValueError(
            f"none of the {positives.shape[0]} database images has another one within the radius, "
            "so no triplet can be formed: set finetune.epochs to 0, or increase prepare.radius_m "
            "beyond the distance between neighbouring images"
        )
    return anchors


def find_negatives(
    positives: csr_array,
    coordinates: NDArray[np.float64],
    anchor: int,
    *,
    radius_m: float | None,
) -> NDArray[np.int64]:
    """Find images that are neither the anchor nor its positives, nor near it.

    Args:
        positives: Database x database, self excluded; stored entries are the positives.
        coordinates: Easting and northing in metres, shape (num_database, 2).
        anchor: Index of the anchor.
        radius_m: Images within it, the edge included, are not negatives; None: all but the
            positives are.

    Returns:
        Indices, ascending.
    """
    is_negative = np.ones(len(coordinates), dtype=bool)
    is_negative[anchor] = False
    is_negative[positives_of(positives, anchor)] = False
    if radius_m is not None:
        is_negative &= ~is_within(coordinates, coordinates[anchor], radius_m=radius_m)
    return np.flatnonzero(is_negative)


def mine_triplets(
    anchors: NDArray[np.int64],
    positives: csr_array,
    negatives: list[NDArray[np.int64]],
    descriptors: NDArray[np.float32],
    *,
    hard: bool,
    nearest_positive: bool,
    margin: float,
    rng: np.random.Generator,
) -> Triplets:
    """Choose one triplet for each anchor that has one, in random order.

    Hard mining takes, among up to 1000 random negatives, the one nearest in descriptor space, if it
    violates the margin: d(anchor, negative) < d(anchor, positive) + margin (Arandjelović et al.,
    CVPR 2016, section 4). Random mining takes any negative.

    Args:
        anchors: Images with a positive.
        positives: Database x database, self excluded; stored entries are the positives.
        negatives: Negatives of each anchor.
        descriptors: Unit rows, shape (num_database, dim), from a recent state of the network.
        hard: Whether to mine hard negatives.
        nearest_positive: Whether to take the positive nearest in descriptor space instead of any.
        margin: Margin of the triplet loss, a Euclidean distance.
        rng: Source of randomness.
    """
    rows = []
    for place in rng.permutation(len(anchors)):
        anchor = int(anchors[place])
        near = positives_of(positives, anchor)
        pool = rng.permutation(negatives[place])[: POOL_SIZE if hard else 1]
        if len(pool) == 0:
            continue
        to_near = _distances(descriptors, anchor, near)
        pick = int(np.argmin(to_near)) if nearest_positive else int(rng.integers(len(near)))
        to_pool = _distances(descriptors, anchor, pool)
        hardest = int(np.argmin(to_pool))
        if not hard or to_pool[hardest] < to_near[pick] + margin:
            rows.append((anchor, int(near[pick]), int(pool[hardest])))
    images = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Triplets(images, num_skipped=len(anchors) - len(rows))


def _distances(
    descriptors: NDArray[np.float32], anchor: int, others: NDArray[np.integer]
) -> NDArray[np.float32]:
    cosines = descriptors[others] @ descriptors[anchor]
    distances: NDArray[np.float32] = np.sqrt(np.maximum(2 - 2 * cosines, 0))  # for unit vectors
    return distances
