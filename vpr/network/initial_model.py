"""The model that training starts from: the starting weights, completed with initial clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.encoder import count_channels
from vpr.features.local_features import LocalFeatures
from vpr.features.model import Model
from vpr.network.aggregator import PREFIX, descriptor_width, draw_pool, recognise_aggregator
from vpr.network.head import load_head
from vpr.network.initial_clusters import initial_pool, sample_encoded

OF_WHITENING = "WPCA."  # its tensors in a model, see vpr.retrieval.whitening


def start_model(
    model: Model,
    features: LocalFeatures,
    *,
    aggregator: str,
    num_clusters: int,
    vlad_version: int,
    descriptor_dim: int | None,
    seed: int,
    device: torch.device,
    refit: bool = False,
) -> tuple[Model, str]:
    """Complete the starting weights with a pool, unless they have one that is kept.

    The features are those of the images that training sees. `num_clusters` (K) and `vlad_version`
    (1 or 2) are of a new NetVLAD; `descriptor_dim` counts where the aggregator leaves a choice. The
    seed draws the sample, k-means and an aggregator's first tensors. With `refit` the weights'
    clusters are replaced; their whitening, which was fitted with these, is left out.

    Returns:
        The whole model, and a description of where its pool comes from.

    Raises:
        ValueError: If the weights have a pool of another kind, number of clusters or version, or a
            map of several positions is to be a descriptor, or there are no features to find
            clusters in.
    """
    brought = recognise_aggregator(model.tensors)
    if brought not in (aggregator, None):
        raise ValueError(
            f"finetune.aggregator = {aggregator}, but the weights bring {brought}: set it to "
            f"{brought}, or use weights without a pool"
        )
    if aggregator != "netvlad":
        return _start_without_clusters(
            replace(model, aggregator=aggregator), features, out_dim=descriptor_dim, seed=seed,
            device=device,
        )  # fmt: skip
    if refit:
        model = replace(model, tensors=_without_clusters(model.tensors))
    words = f"pool of {num_clusters} clusters (vladv{vlad_version})"
    if "pool.centroids" in model.tensors:
        _check_pool(model, num_clusters=num_clusters, vlad_version=vlad_version)
        return model, f"{words} from the weights"
    samples = _sample(model, features, num_clusters=num_clusters, seed=seed, device=device)
    pool = initial_pool(samples, num_clusters=num_clusters, vlad_version=vlad_version, seed=seed)
    return model.with_tensors(pool), f"{words} by k-means of {len(samples)} features"


def _sample(
    model: Model, features: LocalFeatures, *, num_clusters: int, seed: int, device: torch.device
) -> NDArray[np.float32]:
    if not len(features.shapes):
        raise ValueError(
            "trunk.store = 0: clusters are found in stored features: store those of some images, "
            "such as 10000"
        )
    dim = count_channels(model.make_encoder())
    blank = {  # a head needs a pool
        "pool.conv.weight": torch.zeros(num_clusters, dim, 1, 1),
        "pool.centroids": torch.zeros(num_clusters, dim),
    }
    head = load_head(model.with_tensors(blank))
    return sample_encoded(head, features, seed=seed, device=device)


def _start_without_clusters(
    model: Model, features: LocalFeatures, *, out_dim: int | None, seed: int, device: torch.device
) -> tuple[Model, str]:
    dim = count_channels(model.make_encoder())
    drawn: dict[str, Tensor] = {}
    if recognise_aggregator(model.tensors) is None:
        drawn = draw_pool(model.aggregator, dim, out_dim=out_dim, seed=seed)
        words = f", drawn from seed {seed}" if drawn else ""
        width = descriptor_width(model.aggregator, dim, num_clusters=1, out_dim=out_dim)
        words = f"{model.aggregator}: {dim} channels -> {width} dimensions{words}"
    elif out_dim is not None:
        raise ValueError(
            f"finetune.descriptor_dim = {out_dim}, but the weights bring {model.aggregator}, whose "
            "size is its own: set it to null"
        )
    else:
        words = f"{model.aggregator} from the weights"
    whole = model.with_tensors(drawn)
    if len(features.shapes):
        with torch.inference_mode():  # a map that does not fit is refused before training
            load_head(whole).to(device)(features.maps([0]).to(device))
    return whole, words


def _without_clusters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    of_clusters = (PREFIX, OF_WHITENING)
    return {name: t for name, t in tensors.items() if not name.startswith(of_clusters)}


def _check_pool(model: Model, *, num_clusters: int, vlad_version: int) -> None:
    state = model.tensors
    num_found = len(state["pool.centroids"])
    if num_found != num_clusters:
        raise ValueError(
            f"finetune.num_clusters = {num_clusters}, but the weights bring a pool of {num_found} "
            f"clusters: set it to {num_found}, or use weights without a pool"
        )
    version = 1 + ("pool.conv.bias" in state)
    if version != vlad_version:
        raise ValueError(
            f"finetune.vlad_version = {vlad_version}, but the weights bring a pool of version "
            f"{version}: set it to {version}, or use weights without a pool"
        )
