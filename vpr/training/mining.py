"""Training on triplets: an anchor, a positive and a negative, all of the database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from vpr.places.positives import positives_of
from vpr.places.radius import is_within
from vpr.training.data import TrainingData
from vpr.training.epochs import Batch, describe_database
from vpr.training.losses import Measured, measure_triplets
from vpr.training.state import TrainingState

POOL_SIZE = 1000  # negatives considered for an anchor, as in the references


@dataclass(frozen=True)
class TripletRecipe:
    """Each anchor with a mined positive and negative, all three described in its step.

    Args:
        seen: The database without its held-out images.
        margin: Triplet-loss margin, Euclidean.
        hard: Whether negatives are the hardest that violate the margin, instead of any.
        nearest_positive: Whether positives are the nearest in descriptor space, instead of any.
        negative_radius_m: Images within it are not negatives either; None: only positives are not.
        refresh_epochs: Epochs after which the descriptors that mining uses are recomputed.
    """

    seen: TrainingData
    margin: float
    batch_triplets: int
    hard: bool
    nearest_positive: bool
    negative_radius_m: float | None
    refresh_epochs: int

    @cached_property
    def anchors(self) -> NDArray[np.int64]:
        """Images with a positive."""
        return find_anchors(self.seen.positives)

    @cached_property
    def negatives(self) -> list[NDArray[np.int64]]:
        """Negatives of each anchor."""
        seen, radius_m = self.seen, self.negative_radius_m
        negatives = [
            find_negatives(seen.positives, seen.coordinates, int(anchor), radius_m=radius_m)
            for anchor in self.anchors
        ]
        if not any(map(len, negatives)):
            raise ValueError(
                "every database image is a positive of every other or within "
                f"finetune.negative_radius_m = {radius_m or 'null'} of it: there are no negatives "
                "to train with; set finetune.epochs to 0, or decrease the radius"
            )
        return negatives

    def draw(
        self, state: TrainingState, device: torch.device
    ) -> tuple[list[Batch], dict[str, int]]:
        """Mine the triplets of an epoch."""
        anchors, negatives = self.anchors, self.negatives
        if state.mined is None or len(state.records) % self.refresh_epochs == 0:
            state.mined = describe_database(state.head, self.seen.features, device)
        triplets = mine_triplets(
            anchors, self.seen.positives, negatives, state.mined, hard=self.hard,
            nearest_positive=self.nearest_positive, margin=self.margin, rng=state.rng,
        )  # fmt: skip
        counts = {"num_triplets": len(triplets), "num_skipped": len(anchors) - len(triplets)}
        return group_triplets(triplets, batch_triplets=self.batch_triplets), counts

    def measure(self, descriptors: Tensor, triplets: Tensor) -> Measured:
        """Measure the triplet loss."""
        return measure_triplets(descriptors, triplets, margin=self.margin)


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
) -> NDArray[np.int64]:
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

    Returns:
        Anchor, positive and negative of each, shape (num_triplets, 3).
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
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _distances(
    descriptors: NDArray[np.float32], anchor: int, others: NDArray[np.integer]
) -> NDArray[np.float32]:
    cosines = descriptors[others] @ descriptors[anchor]
    distances: NDArray[np.float32] = np.sqrt(np.maximum(2 - 2 * cosines, 0))  # for unit vectors
    return distances


def group_triplets(triplets: NDArray[np.int64], *, batch_triplets: int) -> list[Batch]:
    """Cut triplets (T, 3) into batches in their order; the last may be short."""
    batches = []
    for start in range(0, len(triplets), batch_triplets):
        images, roles = np.unique(triplets[start : start + batch_triplets], return_inverse=True)
        batches.append((images, torch.from_numpy(roles.reshape(-1, 3))))
    return batches
