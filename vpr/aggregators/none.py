"""No aggregator: for encoders that make a descriptor themselves."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

MARK = None  # it has no tensors


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


def make_aggregator(state: Mapping[str, Tensor]) -> Whole:
    """Make it; it has no tensors."""
    return Whole()


def draw_aggregator(channels: int, out_dim: int | None) -> Whole:
    """Make it; there is nothing to draw."""
    return Whole()


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """Channels of the map."""
    return channels
