"""Epochs of mining and training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.training.data import TrainingData
from vpr.training.epochs import EpochRecord, describe_database, train_epoch
from vpr.training.losses import Loss
from vpr.training.mining import find_anchors, find_negatives, mine_triplets
from vpr.training.state import TrainingState
from vpr.training.validation import Validation


def train(
    state: TrainingState,
    seen: TrainingData,
    *,
    epochs: int,
    loss: Loss,
    margin: float,
    batch_triplets: int,
    hard: bool,
    nearest_positive: bool,
    negative_radius_m: float | None,
    refresh_epochs: int,
    validation: Validation | None,
    device: torch.device,
) -> Iterator[EpochRecord]:
    """Train epoch by epoch, resuming where the state stands.

    Args:
        state: Changed in place. Between two epochs it is whole: saved then and loaded, it leads
            to the same end.
        seen: The database without its held-out images.
        epochs: Passes over the anchors, including those already done.
        loss: Of a triplet.
        margin: Triplet-loss margin, Euclidean.
        batch_triplets: Triplets of a group.
        hard: Whether negatives are the hardest that violate the margin, or any.
        nearest_positive: Whether positives are the nearest in descriptor space, or any.
        negative_radius_m: Images within it are no negatives either; None: only positives are not.
        refresh_epochs: Epochs after which the descriptors that mining looks at are computed anew.
        validation: Held-out images on which recall is measured before training and after each
            epoch; None to skip.
        device: Where to compute.

    Yields:
        The record of each epoch; nothing for 0 epochs, whatever the data.

    Raises:
        ValueError: If nothing trains, no image has a positive, or none has a negative.
    """
    if validation and not state.recalls:
        state.note_recall(validation.recall(state.head, device))
    if epochs == len(state.records):
        return
    if not list(state.head.parameters()):
        raise ValueError(
            f"finetune.epochs = {epochs}: there is nothing to train (finetune.aggregator is none "
            "and trunk.trainable_from is pool): set it to 0"
        )
    # The gradient of picking rows is a sum that torch otherwise adds up in any order.
    torch.use_deterministic_algorithms(True)
    anchors = find_anchors(seen.positives)
    negatives = _find_all_negatives(seen, anchors, radius_m=negative_radius_m)
    for epoch in range(len(state.records), epochs):
        if state.mined is None:
            state.mined = describe_database(state.head, seen.features, device)
        triplets = mine_triplets(
            anchors, seen.positives, negatives, state.mined,
            hard=hard, nearest_positive=nearest_positive, margin=margin, rng=state.rng,
        )  # fmt: skip
        record = train_epoch(
            state.head, state.optimizer, seen.features, triplets,
            loss=loss, margin=margin, batch_triplets=batch_triplets, device=device,
            title=f"epoch {epoch + 1}/{epochs}",
        )  # fmt: skip
        state.records.append(record)
        if (epoch + 1) % refresh_epochs == 0:
            state.mined = None
        if validation:
            state.note_recall(validation.recall(state.head, device))
        yield record


def _find_all_negatives(
    seen: TrainingData, anchors: NDArray[np.int64], *, radius_m: float | None
) -> list[NDArray[np.int64]]:
    negatives = [
        find_negatives(seen.positives, seen.coordinates, int(anchor), radius_m=radius_m)
        for anchor in anchors
    ]
    if not any(map(len, negatives)):
        raise ValueError(
            "every database image is a positive of every other or within "
            f"finetune.negative_radius_m = {radius_m or 'null'} of it: there are no negatives to "
            "train with; set finetune.epochs to 0, or a smaller radius"
        )
    return negatives
