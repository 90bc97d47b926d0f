"""Pictures with something to find in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


def texture(seed: int) -> NDArray[np.uint8]:
    """Coloured blots, (240, 320, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    picture = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(1)))
