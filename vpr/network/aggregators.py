"""Aggregators other than NetVLAD: GeM, and none for encoders that output a descriptor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.model import Model
from vpr.network.netvlad import NetVLAD

SMALLEST = 1e-6  # what smaller values count as, so that roots have a gradient
FIRST_EXPONENT = 3.0


class GeM(nn.Module):
    """Generalised mean of each channel, (mean x^p)^(1/p), with a learned exponent.

    Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI
    2019, equation 3. With a linear layer as in CosPlace (Berton et al., CVPR 2022, and its code):
    local features are normalised first, and the layer follows. Values below 1e-6 count as 1e-6, so
    negative features, which EfficientNet-Lite and DINOv2 have, are lost.

    Args:
        dim: C, channels of a local feature.
        out_dim: Outputs of the linear layer; None: no layer.
    """

    def __init__(self, dim: int, out_dim: int | None) -> None:
        """Make the layer, with an exponent of 3 and torch's usual linear layer."""
        super().__init__()
        self.p = nn.Parameter(torch.tensor([FIRST_EXPONENT]))
        self.linear = None if out_dim is None else nn.Linear(dim, out_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Pool maps (N, C, H, W) to unit rows (N, C), or (N, out_dim) with the layer, float32."""
        if self.linear is not None:
            features = functional.normalize(features, dim=1)
        powers = features.clamp(min=SMALLEST).pow(self.p)
        means = powers.mean(dim=(2, 3)).pow(1 / self.p)
        return functional.normalize(means if self.linear is None else self.linear(means), dim=1)


class Whole(nn.Module):
    """No aggregation: the map's one position is the descriptor."""

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, C) of maps (N, C, 1, 1), float32.

        Raises:
            ValueError: If the maps have more than one position.
        """
        height, width = features.shape[2:]
        if (height, width) != (1, 1):
            raise ValueError(
                f"finetune.aggregator = none: the encoder makes a map of {height}x{width} "
                "positions, not one descriptor: choose netvlad or gem"
            )
        return functional.normalize(features.flatten(1), dim=1)


def first_gem(dim: int, *, out_dim: int | None, seed: int) -> dict[str, Tensor]:
    """Draw GeM's tensors, by their names in a model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = GeM(dim, out_dim).state_dict()
    return {f"pool.{name}": tensor for name, tensor in state.items()}


def make_pool(model: Model) -> nn.Module:
    """Make the aggregator of a model, with sizes read from its tensors, which are not loaded.

    Raises:
        ValueError: If the model lacks the tensors of its aggregator.
    """
    state = model.tensors
    if model.aggregator == "none":
        return Whole()
    if model.aggregator == "gem":
        linear = state.get("pool.linear.weight")
        return GeM(1, None) if linear is None else GeM(linear.shape[1], len(linear))
    if "pool.centroids" not in state:
        raise ValueError("the model has no pool.centroids: it was never initialised")
    num_clusters, dim = state["pool.centroids"].shape
    return NetVLAD(num_clusters, dim, with_bias="pool.conv.bias" in state)


def descriptor_width(aggregator: str, dim: int, *, num_clusters: int, out_dim: int | None) -> int:
    """Compute how many values a descriptor has.

    `dim` is C, channels of a local feature. `num_clusters` counts for NetVLAD only, `out_dim` for
    GeM only: outputs of its linear layer, None without one.
    """
    return num_clusters * dim if aggregator == "netvlad" else out_dim or dim
