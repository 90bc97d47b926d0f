"""The model that training starts from: the starting weights, completed with first clusters."""

from __future__ import annotations

import torch

from vpr.features.encoder import count_channels
from vpr.features.local_features import LocalFeatures
from vpr.features.model import Model
from vpr.network.clusters import initial_pool, sample_encoded
from vpr.network.head import load_head


def start_model(
    model: Model,
    features: LocalFeatures,
    *,
    num_clusters: int,
    vlad_version: int,
    seed: int,
    device: torch.device,
) -> tuple[Model, str]:
    """Complete the starting weights with a pool, unless they bring one.

    Args:
        model: All starting tensors.
        features: Stored features of the database images that training sees.
        num_clusters: K of a new pool.
        vlad_version: 1 or 2, how a new pool assigns.
        seed: Of the sample and of k-means.
        device: Where to compute.

    Returns:
        The whole model, and in words where the pool comes from.

    Raises:
        ValueError: If the weights bring a pool with another number of clusters, or version.
    """
    if "pool.centroids" in model.tensors:
        _check_pool(model, num_clusters=num_clusters, vlad_version=vlad_version)
        words = f"pool of {num_clusters} clusters (vladv{vlad_version}) from the weights"
        return model, words
    dim = count_channels(model.make_encoder())
    blank = {
        "pool.conv.weight": torch.zeros(num_clusters, dim, 1, 1),
        "pool.centroids": torch.zeros(num_clusters, dim),
    }
    samples = sample_encoded(
        load_head(model.with_tensors(blank)), features, seed=seed, device=device
    )
    pool = initial_pool(samples, num_clusters=num_clusters, vlad_version=vlad_version, seed=seed)
    return model.with_tensors(pool), (
        f"pool of {num_clusters} clusters (vladv{vlad_version}) by k-means of "
        f"{len(samples)} features"
    )


def _check_pool(model: Model, *, num_clusters: int, vlad_version: int) -> None:
    state = model.tensors
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
