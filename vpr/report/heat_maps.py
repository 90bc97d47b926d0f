"""Heat maps laid over photos."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEAT = (255, 80, 0)


def overlay(photo: NDArray[np.uint8], heat: NDArray[np.float32]) -> Image.Image:
    """Draw a greyed photo on which warm places glow, the warmest most.

    Args:
        photo: RGB of shape (H, W, 3).
        heat: Any grid over the photo; what is below 0 does not glow.
    """
    grey = Image.fromarray(photo).convert("L").convert("RGB")
    positive = heat.clip(min=0)
    alpha = 0.85 * 255 * positive / max(float(positive.max()), 1e-12)
    mask = Image.fromarray(alpha.astype(np.uint8)).resize(grey.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", grey.size, HEAT), grey, mask)


def data_address(image: Image.Image) -> str:
    """Write an image as an address that holds it, so that a page is a single file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
