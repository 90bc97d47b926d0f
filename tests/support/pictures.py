"""Pictures with something to find in them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor


def texture(seed: int) -> NDArray[np.uint8]:
    """Coloured blots, (240, 320, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    picture = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(1)))


def drawn_views() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A part of a texture, and the whole, from 16 pixels further left and 8 further up."""
    whole = texture(2)[:160, :224]
    return whole[8:, 16:], whole


def batch_of(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert RGB of shape (H, W, 3) to a batch of one, values 0 to 1, shape (1, 3, H, W)."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
