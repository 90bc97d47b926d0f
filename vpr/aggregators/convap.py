"""Conv-AP: a 1x1 convolution, then means over a grid of 2 x 2 cells."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

MARK = "channel_pool.weight"  # a tensor that no other aggregator has
SIDE = 2  # cells of the grid, along each side


class ConvAP(nn.Module):
    """Mixed channels, averaged over each quarter of the map.

    Ali-bey, Chaib-draa and Giguère, "GSV-Cities", Neurocomputing 2022, section 4.3, under the names
    of the authors' code. A quarter of a map that 2 does not divide shares its middle row or column
    with the next, as torch's adaptive mean does.

    Args:
        channels: C of the map.
        out_dim: Values D of a descriptor.
    """

    def __init__(self, channels: int, out_dim: int) -> None:
        """Make the layer, with torch's usual convolution."""
        super().__init__()
        self.channels = channels
        self.channel_pool = nn.Conv2d(channels, out_dim // SIDE**2, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, D) of maps (N, C, H, W), float32; the four cells of a channel together."""
        cells = functional.adaptive_avg_pool2d(self.channel_pool(features), SIDE)  # (N, D/4, 2, 2)
        return functional.normalize(cells.flatten(1), dim=1)


def make_aggregator(state: Mapping[str, Tensor]) -> ConvAP:
    """Make the layer, its sizes read from the tensors; they are not loaded."""
    num_out, channels = state["channel_pool.weight"].shape[:2]
    return ConvAP(channels, num_out * SIDE**2)


def draw_aggregator(channels: int, out_dim: int | None) -> ConvAP:
    """Make the layer with its first tensors.

    Raises:
        ValueError: If there is not one value of a channel for each cell.
    """
    width = descriptor_width(channels, num_clusters=0, out_dim=out_dim)
    if width % SIDE**2:
        raise ValueError(
            f"finetune.descriptor_dim = {width}: convap needs a multiple of {SIDE**2}, one value "
            "for each quarter of the map"
        )
    return ConvAP(channels, width)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """The values asked for, or by default as many mixed channels as the map has."""
    return out_dim or channels * SIDE**2
