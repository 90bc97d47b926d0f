"""The trunk: an encoder's frozen part, pixels -> the local features that are stored."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vpr.encoders.dense_rootsift import DIM, DenseRootSift
from vpr.encoders.vgg16 import (
    POOL_MODULES,
    SIFT,
    build_encoder,
    is_dense_sift,
    map_shape,
    normalise_pixels,
)
from vpr.features.batches import require_memory
from vpr.runtime.artefacts import require_space
from vpr.runtime.device import check_precision


class VggTrunk(nn.Module):
    """The frozen modules of VGG16.

    Args:
        trainable_from: Index of the first module that is not frozen.
        precision: Type to compute in; sums inside a convolution are float32 either way.
    """

    def __init__(self, trainable_from: int, precision: torch.dtype) -> None:
        """Make the modules; their weights are not initialised."""
        super().__init__()
        self.trainable_from, self.precision = trainable_from, precision
        self.stride_px = 2 ** sum(pool < trainable_from for pool in POOL_MODULES)
        self.encoder = build_encoder(0, trainable_from)

    def forward(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8."""
        maps: Tensor = self.encoder(normalise_pixels(pixels).to(self.precision))
        return maps

    def map_shape(self, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what it makes of one image."""
        return map_shape(self.trainable_from, height_px, width_px)


class SiftTrunk(nn.Module):
    """Dense RootSIFT, which is all frozen.

    Args:
        sift: The encoder.
        precision: Type to give the features in; they are computed in float32.
    """

    def __init__(self, sift: DenseRootSift, precision: torch.dtype) -> None:
        """Keep the encoder."""
        super().__init__()
        self.sift, self.precision = sift, precision
        self.stride_px = int(sift.step_px)

    def forward(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, 128, num_scales * H', W') of RGB (N, H, W, 3), uint8."""
        maps: Tensor = self.sift(pixels)
        return maps.to(self.precision)

    def map_shape(self, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (128, num_scales * H', W') of what it makes of one image."""
        rows, columns = height_px // self.stride_px, width_px // self.stride_px
        return DIM, len(self.sift.bins_px) * rows, columns


Trunk = VggTrunk | SiftTrunk


def load_trunk(state: dict[str, Tensor], trainable_from: int, precision: torch.dtype) -> Trunk:
    """The frozen part of an encoder, ready to run.

    Args:
        state: The frozen tensors, by their keys in a checkpoint; they say which encoder it is.
        trainable_from: Index of the first module of VGG16 that is not frozen.
        precision: Type of the features, and of VGG16's computations.

    Returns:
        The trunk in evaluation mode, VGG16 in channels_last memory.
    """
    if is_dense_sift(state):
        sift = DenseRootSift(state[f"{SIFT}bins_px"].tolist(), int(state[f"{SIFT}step_px"]))
        return SiftTrunk(sift, precision).eval()
    trunk = VggTrunk(trainable_from, precision)
    trunk.load_state_dict(state)
    return trunk.eval().to(precision).to(memory_format=torch.channels_last)


def announce_features(
    images: Sequence[Path], sizes: Sequence[tuple[int, int]], trunk: Trunk, device: torch.device
) -> None:
    """Print how large the stored features will be, before the first is computed.

    Args:
        images: The files.
        sizes: Height and width of each as the trunk will see it, in pixels.
        trunk: What will make the features.
        device: Where.

    Raises:
        ValueError: If an image is too small for the network or too large for memory, or the
            device does not compute in the network's precision.
        OSError: If the disk does not hold the features.
    """
    if isinstance(trunk, VggTrunk):
        check_precision(trunk.precision, device)
        require_memory(images, sizes, trunk.precision, device)
    shapes = [trunk.map_shape(*size) for size in sizes]
    for image, size, shape in zip(images, sizes, shapes, strict=True):
        if min(shape) < 1:
            raise ValueError(
                f"{image}: {size[1]}x{size[0]} pixels are too few for the encoder, which needs at "
                f"least {trunk.stride_px} each way"
            )
    num_bytes = sum(math.prod(shape) for shape in shapes) * trunk.precision.itemsize
    print(f"{len(images)} images, local features of {num_bytes / 1e6:.0f} MB", file=sys.stderr)
    require_space(Path(), num_bytes)
