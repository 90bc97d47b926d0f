"""GeM: the generalised mean of each channel, with or without a linear layer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

MARK = "p"  # a tensor that no other aggregator has
SMALLEST = 1e-6  # what smaller values count as, so that roots have a gradient
FIRST_EXPONENT = 3.0


class GeM(nn.Module):
    """Generalised mean of each channel, (mean x^p)^(1/p), with a learned exponent.

    Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI
    2019, equation 3. With a linear layer as in CosPlace (Berton et al., CVPR 2022, and its code):
    local features are unit first, and the layer follows. Values below 1e-6 count as 1e-6: of an
    encoder whose features have signs, as EfficientNet-Lite's or DINOv2's, the negative are lost.

    Args:
        dim: C, channels of a local feature.
        out_dim: Outputs of the linear layer; None: no layer.
    """

    def __init__(self, dim: int, out_dim: int | None) -> None:
        """Make the layer, with an exponent of 3 and torch's usual linear layer."""
        super().__init__()
        self.channels = None if out_dim is None else dim
        self.p = nn.Parameter(torch.tensor([FIRST_EXPONENT]))
        self.linear = None if out_dim is None else nn.Linear(dim, out_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, C), or as many as the linear layer has, of maps (N, C, H, W), float32."""
        if self.linear is not None:
            features = functional.normalize(features, dim=1)
        powers = features.clamp(min=SMALLEST).pow(self.p)
        means = powers.mean(dim=(2, 3)).pow(1 / self.p)
        return functional.normalize(means if self.linear is None else self.linear(means), dim=1)


def make_aggregator(state: Mapping[str, Tensor]) -> GeM:
    """Make the layer, its sizes read from the tensors; they are not loaded."""
    linear = state.get("linear.weight")
    return GeM(1, None) if linear is None else GeM(linear.shape[1], len(linear))


def draw_aggregator(channels: int, out_dim: int | None) -> GeM:
    """Make the layer with its first tensors."""
    return GeM(channels, out_dim)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """Outputs of the linear layer, or without one the channels of the map."""
    return out_dim or channels
