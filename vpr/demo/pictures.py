"""Pictures of flat things, drawn once and seen from anywhere: facades, ground, crowns of trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vpr.demo.street import Colour

PX_PER_M = 16  # of facades and ground
CELLS_PX = (40, 12, 4, 2)  # sizes of the grain


class Picture:
    """A picture, and versions of fewer pixels in which far things do not flicker."""

    def __init__(self, image: Image.Image) -> None:
        """Keep the picture; versions are made when they are needed."""
        self.size = image.size
        self.mean = tuple(round(value) for value in np.asarray(image).mean(axis=(0, 1)).tolist())
        self._versions = {(1, 1): image}

    def reduced(self, across: float, up: float) -> Image.Image:
        """Reduce both sides by the largest power of two that is at most a factor."""
        x, y = (
            1 << min(max(int(factor), 1).bit_length() - 1, side.bit_length() - 1)
            for factor, side in zip((across, up), self.size, strict=True)
        )
        factors = x, y
        if factors not in self._versions:
            self._versions[factors] = self._versions[1, 1].reduce(factors)
        return self._versions[factors]


def grain(rng: np.random.Generator, size_px: tuple[int, int]) -> NDArray[np.float64]:
    """Noise of several sizes for every pixel, of a mean of 0, shape (height, width, 1)."""
    total = np.zeros(size_px[::-1])
    for cell in CELLS_PX:
        coarse = rng.integers(0, 256, [side // cell + 2 for side in size_px[::-1]], dtype=np.uint8)
        # 8-bit images: Pillow scales them in integers, which are the same on every machine.
        total += np.asarray(Image.fromarray(coarse).resize(size_px, Image.Resampling.BILINEAR))
    return (total / (127.5 * len(CELLS_PX)) - 1)[..., None]


def blocks(
    rng: np.random.Generator, size_px: tuple[int, int], block_px: tuple[int, int]
) -> NDArray[np.float64]:
    """A shade in [-1, 1] of every brick, panel or slab, shape (height, width, 1)."""
    height, width = size_px[1], size_px[0]
    rows, columns = height // block_px[1] + 1, width // block_px[0] + 2
    shades = rng.uniform(-1, 1, (rows, columns)).repeat(block_px[0], axis=1)
    shades[1::2] = np.roll(shades[1::2], block_px[0] // 2, axis=1)
    return shades.repeat(block_px[1], axis=0)[:height, :width, None]


def tinted(colour: Colour, *shades: NDArray[np.float64]) -> Image.Image:
    """An image of one colour, lighter and darker by the sum of shades of shape (H, W, 1)."""
    values = np.array(colour) * (1 + np.sum(shades, axis=0))
    return Image.fromarray((255 * values).round().clip(0, 255).astype(np.uint8))


def pixel(colour: Colour) -> tuple[int, int, int]:
    """A colour in 8 bits per channel."""
    red, green, blue = (round(255 * min(max(part, 0), 1)) for part in colour)
    return red, green, blue
