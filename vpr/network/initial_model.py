"""The model that training starts from: the starting weights, completed with first clusters."""

from __future__ import annotations

import torch
from torch import Tensor

from vpr.encoders.vgg16 import is_dense_sift
from vpr.features.local_features import LocalFeatures
from vpr.network.clusters import initial_pool, sample_encoded
from vpr.network.head import load_head


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
        features: Stored features of the database images that training sees.
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
        _check_pool(state, num_clusters=num_clusters, vlad_version=vlad_version)
        words = f"pool of {num_clusters} clusters (vladv{vlad_version}) from the weights"
        return state, words
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


def _check_pool(state: dict[str, Tensor], *, num_clusters: int, vlad_version: int) -> None:
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
