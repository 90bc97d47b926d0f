"""What images a published network takes: their size, how they are resized and normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in [0, 1]
STD = (0.229, 0.224, 0.225)


class InputRule(NamedTuple):
    """What a network's images are, made of photos as they are.

    Resizing is linear, so that it makes no difference but rounding whether an author resizes or
    normalises first; size, kernel and whether bytes are resized do.

    Args:
        size_px: Height and width that they are resized to; None: as they are.
        multiple_px: What height and width are resized to the nearest multiple of, half to even.
        mode: Interpolation of resizing, with antialiasing.
        in_bytes: Whether bytes are resized, by Pillow; else normalised pixels.
        mean, std: That RGB in [0, 1] is normalised by.
    """

    size_px: tuple[int, int] | None = None
    multiple_px: int = 1
    mode: str = "bilinear"
    in_bytes: bool = False
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    def size_seen(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width that a photo is resized to."""
        if self.size_px:
            return self.size_px
        step = self.multiple_px
        return max(1, round(height_px / step)) * step, max(1, round(width_px / step)) * step

    def images(self, pixels: Tensor) -> Tensor:
        """Images (N, 3, H', W'), float32, of RGB (N, H, W, 3) in whole levels of 0 to 255."""
        size = self.size_seen(*pixels.shape[1:3])
        if size == tuple(pixels.shape[1:3]):
            return normalise(pixels, self.mean, self.std)
        if self.in_bytes:
            return normalise(_resize_bytes(pixels, size, self.mode), self.mean, self.std)
        images = normalise(pixels, self.mean, self.std)
        return functional.interpolate(images, size, mode=self.mode, antialias=True)


def normalise(pixels: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """Images (N, 3, H, W), float32, of RGB (N, H, W, 3), uint8.

    Args:
        pixels: The RGB.
        mean: Of each channel, in [0, 1].
        deviation: Of each channel, in [0, 1].
    """
    means, deviations = (torch.tensor(v, device=pixels.device) for v in (mean, deviation))
    return pixels.float().div(255).sub(means).div(deviations).permute(0, 3, 1, 2)


def _resize_bytes(pixels: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """RGB (N, H, W, 3), uint8, of a size, by Pillow, as the authors' loaders resize photos.

    torch's own resizing of bytes differs from it in 1 of 400 bytes, bicubic in 1 of 11.
    """
    kernel = Image.Resampling[mode.upper()]
    photos = pixels.cpu().to(torch.uint8).numpy()
    resized = [np.asarray(Image.fromarray(photo).resize(size[::-1], kernel)) for photo in photos]
    return torch.from_numpy(np.stack(resized)).to(pixels.device)
