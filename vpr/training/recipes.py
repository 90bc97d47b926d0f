"""How an epoch is made: from triplets, as in the challenge, or from batches of places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.training.data import TrainingData
from vpr.training.epochs import describe_database, train_epoch
from vpr.training.losses import BatchLoss, Loss
from vpr.training.mining import find_anchors, find_negatives, mine_triplets
from vpr.training.place_batches import draw_places, find_near, group_places
from vpr.training.place_epochs import train_on_places
from vpr.training.records import EpochRecord, PlacesRecord, Record
from vpr.training.state import TrainingState


class Recipe(Protocol):
    """A way to make an epoch from the database."""

    def train(self, state: TrainingState, *, title: str, device: torch.device) -> Record:
        """Train one epoch, changing the state in place except for its records.

        Raises:
            ValueError: If there is nothing to train on, or training diverges.
        """


@dataclass(frozen=True)
class TripletRecipe:
    """Each anchor with a mined positive and negative, all three described in its step.

    Args:
        seen: The database without its held-out images.
        margin: Triplet-loss margin, Euclidean.
        clip_norm: Largest Euclidean norm of a step's gradient; None: unlimited.
        hard: Whether negatives are the hardest that violate the margin, instead of any.
        nearest_positive: Whether positives are the nearest in descriptor space, instead of any.
        negative_radius_m: Images within it are not negatives either; None: only positives are not.
        refresh_epochs: Epochs after which the descriptors that mining uses are recomputed.
    """

    seen: TrainingData
    loss: Loss
    margin: float
    batch_triplets: int
    clip_norm: float | None
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

    def train(self, state: TrainingState, *, title: str, device: torch.device) -> EpochRecord:
        """Mine triplets, and train on them."""
        anchors, negatives = self.anchors, self.negatives
        if state.mined is None:
            state.mined = describe_database(state.head, self.seen.features, device)
        triplets = mine_triplets(
            anchors, self.seen.positives, negatives, state.mined, hard=self.hard,
            nearest_positive=self.nearest_positive, margin=self.margin, rng=state.rng,
        )  # fmt: skip
        record = train_epoch(
            state.head, state.optimizer, self.seen.features, triplets, loss=self.loss,
            margin=self.margin, batch_triplets=self.batch_triplets, clip_norm=self.clip_norm,
            title=title, device=device,
        )  # fmt: skip
        if (len(state.records) + 1) % self.refresh_epochs == 0:
            state.mined = None
        return record


@dataclass(frozen=True)
class PlacesRecipe:
    """P places of up to K images in each step; every image is described once an epoch.

    Args:
        seen: The database without its held-out images.
        places_per_batch: Maximum places of a batch, P.
        images_per_place: Maximum images of a place, K.
        clip_norm: Largest Euclidean norm of a step's gradient; None: unlimited.
        negative_radius_m: Images within it are never in two places of one batch, as positives never
            are; None: only positives.
    """

    seen: TrainingData
    loss: BatchLoss
    places_per_batch: int
    images_per_place: int
    clip_norm: float | None
    negative_radius_m: float | None

    @cached_property
    def near(self) -> list[NDArray[np.int64]]:
        """For each image those that are too near to be its negatives."""
        return find_near(self.seen, radius_m=self.negative_radius_m)

    def train(self, state: TrainingState, *, title: str, device: torch.device) -> PlacesRecord:
        """Cut the route into new places, and train on batches of them."""
        places = draw_places(
            self.seen.positives, images_per_place=self.images_per_place, rng=state.rng
        )
        batches = group_places(
            places, self.near, places_per_batch=self.places_per_batch, rng=state.rng
        )
        return train_on_places(
            state.head, state.optimizer, self.seen.features, batches, loss=self.loss,
            clip_norm=self.clip_norm, title=title, device=device,
        )  # fmt: skip
