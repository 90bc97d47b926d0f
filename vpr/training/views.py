"""Views: how a held-out database image might look to somebody else on another day."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_INSET = 0.12  # of width and height; how far each corner of the view lies inside the image
MAX_GAMMA = 0.4  # natural logarithm of the exponent that brightens or darkens
MAX_GAIN = 0.15  # natural logarithm of each colour channel's factor


def num_held_out(num_images: int, fraction: float) -> int:
    """How many images at the end of the database are held out of training.

    Args:
        num_images: Of the database, in the order of its route.
        fraction: Held out, rounded down to whole images.

    Raises:
        ValueError: If the fraction is not in [0, 0.5], or above 0 and yet no whole image.
    """
    held_out = math.floor(num_images * fraction)
    if not 0 <= fraction <= 0.5 or (fraction > 0 and held_out == 0):
        raise ValueError(
            f"finetune.validation_fraction = {fraction}: expected 0, or between "
            f"1/{num_images} (one image of {num_images}) and 0.5"
        )
    return held_out


def draw_view(image: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """The image from a slightly other viewpoint, in a slightly other light.

    Each corner moves inwards on its own, by up to 12 % of each side (a nearer, shifted, turned
    camera, as far as a flat scene shows it); a gamma and a factor for each channel change the
    light.

    Args:
        image: RGB, shape (H, W, 3).
        seed: Of what is drawn.

    Returns:
        Shape (H, W, 3).
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    inset = rng.uniform(0, MAX_INSET, size=(4, 2)) * (width, height)
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)])  # as Pillow has them
    inwards = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    quad = tuple((corners + inwards * inset).ravel().tolist())
    moved = Image.fromarray(image).transform(
        (width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC
    )
    gamma = np.exp(rng.uniform(-MAX_GAMMA, MAX_GAMMA))
    gain = np.exp(rng.uniform(-MAX_GAIN, MAX_GAIN, size=3))
    lit = (255 * gain * (np.asarray(moved) / 255) ** gamma).round().clip(0, 255)
    view: NDArray[np.uint8] = lit.astype(np.uint8)
    return view
