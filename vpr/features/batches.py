"""How many images the network processes together: by their size and a GPU's free memory.

On a CPU each image of a batch goes through the network by itself, so that its bits depend on no
other: oneDNN's last bits differ between batches of one and of several images (docs/experiments/
speed.md), and larger ones gain nothing there. On a GPU they do, and a batch is as large as half of
the free memory allows: results there agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from vpr.runtime.device import memory_at_hand

PIXELS_PER_BATCH = {"cpu": 2 * 640 * 480, "cuda": 64 * 640 * 480}  # at most
POSITIONS_PER_BATCH = {"cpu": 4 * 40 * 30, "cuda": 128 * 40 * 30}  # at most
BYTES_PER_POSITION = 4 * 5 * 512  # input, conv5's outputs, and copies in another precision
SHARE = 0.5  # of a GPU's free memory


def pixels_per_batch(device: torch.device, *, values_per_pixel: int) -> int:
    """Largest area, in pixels, of images that go through the trunk together, in any precision.

    The trunk holds `values_per_pixel` values at once for each pixel.
    """
    return _fitting(PIXELS_PER_BATCH, values_per_pixel * torch.float32.itemsize, device)


def positions_per_batch(device: torch.device) -> int:
    """Largest number of local features that go through the head together."""
    return _fitting(POSITIONS_PER_BATCH, BYTES_PER_POSITION, device)


def run_batch(network: nn.Module, batch: Tensor) -> Tensor:
    """Run a network on images, pixels or features, (N, ...); on a CPU one after the other."""
    if batch.device.type == "cpu":
        return torch.cat([network(image) for image in one_by_one(batch)])
    made: Tensor = network(batch)
    return made


def one_by_one(batch: Tensor) -> Iterator[Tensor]:
    """Split a batch (N, ...) into batches of one image, (1, ...), in the same memory format."""
    return (batch[index : index + 1] for index in range(len(batch)))


def require_memory(
    images: Sequence[object],
    sizes: Sequence[tuple[int, int]],
    bytes_per_pixel: int,
    device: torch.device,
) -> None:
    """Check that each image fits into memory by itself.

    `sizes` are heights and widths as the trunk will see them, in pixels.

    Raises:
        ValueError: If an image does not; the message names it.
    """
    available = memory_at_hand(device)
    for image, (height, width) in zip(images, sizes, strict=True):
        needed = height * width * bytes_per_pixel
        if needed > available:
            raise ValueError(
                f"{image}: {width}x{height} pixels take about {needed / 1e9:.1f} GB in the "
                f"network, {available / 1e9:.1f} GB of memory are free: set trunk.max_side_px, or "
                "free some"
            )


def _fitting(most: dict[str, int], bytes_each: int, device: torch.device) -> int:
    if device.type == "cpu":
        return most["cpu"]
    return min(most["cuda"], int(SHARE * memory_at_hand(device)) // bytes_each)
