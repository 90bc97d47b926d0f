"""MixVPR: each channel's map as one vector, mixed across all of its positions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

MARK = "row_proj.weight"  # a tensor that no other aggregator has
POSITIONS = 20 * 20  # of ResNet's third stage, of an image of 320 x 320 pixels
NUM_MIXERS = 4
DIM = 4096
FEW_ROWS_BELOW = 4096  # as the published models have 4 rows, and of 512 and 128 values 2


class Mixer(nn.Module):
    """x + W2 ReLU(W1 LN(x)) over the positions of each channel."""

    def __init__(self, positions: int) -> None:
        """Make the layers, with torch's usual weights."""
        super().__init__()
        self.mix = nn.Sequential(
            nn.LayerNorm(positions),
            nn.Linear(positions, positions),
            nn.ReLU(),
            nn.Linear(positions, positions),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Mix (N, C, P)."""
        mixed: Tensor = values + self.mix(values)
        return mixed


class MixVPR(nn.Module):
    """Four mixers over the positions, then a projection of channels and one of positions.

    Ali-bey, Chaib-draa and Giguère, "MixVPR: Feature Mixing for Visual Place Recognition", WACV
    2023, section 3, under the names of the authors' code. Images must have the size that it was
    trained for, since its weights are of positions.

    Args:
        channels: C of the map.
        positions: P = H * W of the map.
        out_channels: Channels c after the projection.
        rows: Values r of each of them.
    """

    def __init__(self, channels: int, positions: int, *, out_channels: int, rows: int) -> None:
        """Make the layers."""
        super().__init__()
        self.channels = channels
        self.positions = positions
        self.mix = nn.Sequential(*(Mixer(positions) for _ in range(NUM_MIXERS)))
        self.channel_proj = nn.Linear(channels, out_channels)
        self.row_proj = nn.Linear(positions, rows)

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, c * r) of maps (N, C, H, W), float32; the rows of a channel together.

        Raises:
            ValueError: If the map has another number of positions.
        """
        height, width = features.shape[2:]
        if height * width != self.positions:
            raise ValueError(
                f"finetune.aggregator = mixvpr: takes {self.positions} positions, found "
                f"a map of {height}x{width}: with resnet50:layer3 set trunk.image_size to "
                "[320, 320] and trunk.max_side_px to null"
            )
        mixed = self.mix(features.flatten(2)).transpose(1, 2)  # (N, P, C)
        projected = self.row_proj(self.channel_proj(mixed).transpose(1, 2))  # (N, c, r)
        return functional.normalize(projected.flatten(1), dim=1)


def make_aggregator(state: Mapping[str, Tensor]) -> MixVPR:
    """Make the layer, its sizes read from the tensors; they are not loaded."""
    out_channels, channels = state["channel_proj.weight"].shape
    rows, positions = state["row_proj.weight"].shape
    return MixVPR(channels, positions, out_channels=out_channels, rows=rows)


def draw_aggregator(channels: int, out_dim: int | None) -> MixVPR:
    """Make the layer with its first tensors.

    Raises:
        ValueError: If the values are not the same number for each channel.
    """
    width = out_dim or DIM
    rows = 2 if width < FEW_ROWS_BELOW else 4
    if width % rows:
        raise ValueError(f"finetune.descriptor_dim = {width}: mixvpr needs a multiple of {rows}")
    return MixVPR(channels, POSITIONS, out_channels=width // rows, rows=rows)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """The values asked for, or by default the published model's."""
    return out_dim or DIM
