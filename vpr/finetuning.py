"""From the starting weights to the model: clusters, then epochs of mining and training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from vpr.clusters import initial_pool, sample_encoded
from vpr.encoder import is_dense_sift
from vpr.head import Head, load_head
from vpr.local_features import LocalFeatures
from vpr.mining import find_anchors, find_negatives, mine_triplets
from vpr.training import EpochRecord, describe_database, train_epoch


def start_model(
    state: dict[str, Tensor],
    features: LocalFeatures,
    *,
    trainable_from: int,
    num_clusters: int,
    vlad_version: int,
    seed: int,
    device: torch.device,
) -> tuple[dict[str, Tensor], str]:
    """Complete the starting weights with a pool, unless they bring one.

    Args:
        state: All starting tensors, by name.
        features: Stored features of the database.
        trainable_from: Index of the encoder's first trainable module.
        num_clusters: K of a new pool.
        vlad_version: 1 or 2, how a new pool assigns.
        seed: Of the sample and of k-means.
        device: Where to compute.

    Returns:
        All tensors of the model, and in words where the pool comes from.

    Raises:
        ValueError: If the weights bring a pool with another number of clusters, or version.
    """
    if "pool.centroids" in state:
        found = len(state["pool.centroids"])
        if found != num_clusters:
            raise ValueError(
                f"finetune.num_clusters = {num_clusters}, but the weights bring a pool of {found} "
                f"clusters: set it to {found}, or use weights without a pool"
            )
        version = 1 + ("pool.conv.bias" in state)
        if version != vlad_version:
            raise ValueError(
                f"finetune.vlad_version = {vlad_version}, but the weights bring a pool of version "
                f"{version}: set it to {version}, or use weights without a pool"
            )
        return state, f"pool of {found} clusters (vladv{version}) from the weights"
    dim = features.rows.shape[1] if is_dense_sift(state) else len(state["encoder.28.bias"])
    blank = {
        "pool.conv.weight": torch.zeros(num_clusters, dim, 1, 1),
        "pool.centroids": torch.zeros(num_clusters, dim),
    }
    samples = sample_encoded(
        load_head(state | blank, trainable_from), features, seed=seed, device=device
    )
    pool = initial_pool(samples, num_clusters=num_clusters, vlad_version=vlad_version, seed=seed)
    return state | pool, (
        f"pool of {num_clusters} clusters (vladv{vlad_version}) by k-means of "
        f"{len(samples)} features"
    )


def train(
    head: Head,
    features: LocalFeatures,
    positives: csr_array,
    coordinates: NDArray[np.float64],
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    seed: int,
    margin: float,
    batch_triplets: int,
    hard: bool,
    nearest_positive: bool,
    negative_radius_m: float | None,
    refresh_epochs: int,
    device: torch.device,
) -> Iterator[EpochRecord]:
    """Train in place, epoch by epoch.

    Args:
        head: What trains.
        features: Stored features of the database.
        positives: Database x database, self excluded; stored entries are the positives.
        coordinates: Of the database, in metres, shape (num_database, 2).
        optimizer: Over the head's parameters.
        epochs: Passes over the anchors.
        seed: Of order and choice.
        margin: Of the triplet loss, a Euclidean distance.
        batch_triplets: Triplets of a group.
        hard: Whether negatives are the hardest that violate the margin, or any.
        nearest_positive: Whether positives are the nearest in descriptor space, or any.
        negative_radius_m: Images within it are no negatives either; None: only positives are not.
        refresh_epochs: Epochs after which the descriptors that mining looks at are computed anew.
        device: Where to compute.

    Yields:
        The record of each epoch; nothing for 0 epochs, whatever the data.

    Raises:
        ValueError: If no image has a positive, or none has a negative.
    """
    if epochs == 0:
        return
    # The gradient of picking rows is a sum that torch otherwise adds up in any order.
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(seed)
    anchors = find_anchors(positives)
    negatives = [
        find_negatives(positives, coordinates, int(anchor), radius_m=negative_radius_m)
        for anchor in anchors
    ]
    if not any(map(len, negatives)):
        raise ValueError(
            "every database image is a positive of every other or within "
            f"finetune.negative_radius_m = {negative_radius_m} of it: there are no negatives to "
            "train with; set finetune.epochs to 0, or a smaller radius"
        )
    for epoch in range(epochs):
        if epoch % refresh_epochs == 0:
            descriptors = describe_database(head, features, device)
        triplets = mine_triplets(
            anchors, positives, negatives, descriptors,
            hard=hard, nearest_positive=nearest_positive, margin=margin, rng=rng,
        )  # fmt: skip
        yield train_epoch(
            head, optimizer, features, triplets,
            margin=margin, batch_triplets=batch_triplets, device=device,
            title=f"epoch {epoch + 1}/{epochs}",
        )  # fmt: skip
