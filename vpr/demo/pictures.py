"""Pictures of flat things, drawn once and seen from anywhere: facades, ground, crowns of trees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vpr.demo.street import FACADE_M, KERB_M, Building, Colour, scale

PX_PER_M = 16  # of facades and ground
CELLS_PX = (40, 12, 4, 2)  # sizes of the grain
Rectangle = tuple[float, float, float, float]  # metres: left, right, low, high
STRETCH_M = 10
APRON_M = 1.0  # drawn on each side, since the stretches of a curved street are no rectangles
ASPHALT = (0.42, 0.42, 0.43)
PAVEMENT = (0.6, 0.58, 0.55)
KERB = (0.75, 0.74, 0.72)
PAINT = (0.9, 0.9, 0.88)


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


class _Wall:
    """A facade that is being drawn, in metres from its lower left corner."""

    def __init__(self, house: Building, rng: np.random.Generator) -> None:
        self.house = house
        self.rng = rng
        size = round(house.width_m * PX_PER_M), round(house.height_m * PX_PER_M)
        brick = int(rng.integers(6, 24)), int(rng.integers(3, 12))
        shades = rng.uniform(0.05, 0.25) * blocks(rng, size, brick)
        self.image = tinted(house.wall, shades, 0.6 * grain(rng, size))
        self._draw = ImageDraw.Draw(self.image)

    def fill(self, left: float, right: float, low: float, high: float, colour: Colour) -> None:
        """Paint a rectangle."""
        bottom = self.house.height_m
        corners = [left, bottom - high, right, bottom - low]
        x0, y0, x1, y1 = (round(PX_PER_M * part) for part in corners)
        self._draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), fill=pixel(colour))

    def near(self, colour: Colour, spread: float) -> Colour:
        """A colour that differs by chance, mostly in its brightness."""
        factor = self.rng.uniform(1 - spread, 1 + spread)
        red, green, blue = factor * np.array(colour) + self.rng.uniform(-0.06, 0.06, 3)
        return float(red), float(green), float(blue)


@lru_cache(maxsize=512)
def draw_facade(house: Building) -> tuple[Picture, list[Rectangle]]:
    """Draw a house's facade, and the panes that light up by night."""
    rng = np.random.default_rng(house.seed)
    wall = _Wall(house, rng)
    _draw_marks(wall, round(1.5 * house.width_m))
    windows = [
        _draw_window(wall, storey, bay)
        for storey in range(1, house.storeys)
        for bay in range(house.bays)
        if rng.random() < 0.93
    ]
    if house.shop is None:
        _draw_ground_floor(wall)
    else:
        _draw_shop(wall, house.shop)
    wall.fill(0, house.width_m, house.height_m - 0.5, house.height_m, house.trim)
    _draw_marks(wall, round(0.7 * house.width_m))
    return Picture(wall.image), windows


def _draw_window(wall: _Wall, storey: int, bay: int) -> Rectangle:
    house, rng = wall.house, wall.rng
    bay_m = house.width_m / house.bays
    width = bay_m * house.window[0] * rng.uniform(0.8, 1.15)
    height = house.storey_m * house.window[1] * rng.uniform(0.85, 1.1)
    left = bay * bay_m + (bay_m - width) * rng.uniform(0.25, 0.75)
    low = storey * house.storey_m + (house.storey_m - height) * rng.uniform(0.3, 0.7)
    right, high = left + width, low + height
    wall.fill(left - 0.12, right + 0.12, low - 0.15, high + 0.12, wall.near(house.trim, 0.2))
    wall.fill(left, right, low, high, wall.near((0.22, 0.26, 0.32), 0.6))
    for _ in range(rng.integers(0, 4)):  # curtains, blinds, plants, reflections
        x, y = rng.uniform(left, right), rng.uniform(low, high)
        x1, y1 = rng.uniform(x, right), rng.uniform(y, high)
        wall.fill(x, x1, y, y1, wall.near((0.5, 0.5, 0.48), 0.9))
    if rng.random() < 0.6:
        middle = left + width * rng.uniform(0.3, 0.7)
        wall.fill(middle - 0.05, middle + 0.05, low, high, house.trim)
    if rng.random() < 0.25:  # a balcony, an awning or boxes of flowers
        colour = wall.near((0.45, 0.42, 0.4), 0.8)
        wall.fill(left - 0.3, right + 0.3, low - 0.4, low + rng.uniform(0, 0.6), colour)
    return left, right, low, high


def _draw_ground_floor(wall: _Wall) -> None:
    house, rng = wall.house, wall.rng
    wall.fill(0, house.width_m, 0, rng.uniform(0.4, 1), scale(house.wall, 0.75))
    door = rng.uniform(0.5, house.width_m - 2)
    wall.fill(door, door + 1.3, 0, 2.4, wall.near(house.trim, 0.4))
    for _ in range(house.bays):
        left = rng.uniform(0.2, house.width_m - 1.5)
        if abs(left - door) > 1.6:
            high = rng.uniform(2, 2.6)
            wall.fill(left - 0.1, left + 1.3, 0.9, high + 0.1, house.trim)
            wall.fill(left, left + 1.2, 1, high, wall.near((0.24, 0.27, 0.3), 0.5))


def _draw_shop(wall: _Wall, colour: Colour) -> None:
    house, rng = wall.house, wall.rng
    left, right = 0.05 * house.width_m, rng.uniform(0.6, 0.95) * house.width_m
    wall.fill(left, right, 0.4, 2.4, (0.25, 0.28, 0.32))
    for _ in range(4 * house.bays):  # the goods
        x, y = rng.uniform(left, right - 0.4), rng.uniform(0.4, 2)
        size = rng.uniform(0.15, 0.8, 2)
        wall.fill(x, min(x + size[0], right), y, min(y + size[1], 2.4), wall.near((0.5,) * 3, 0.9))
    door = rng.uniform(left, right - 1)
    wall.fill(door, door + 1.2, 0, 2.4, house.trim)
    wall.fill(left - 0.2, right + 0.2, 2.5, 3.2, colour)
    ink = scale((1, 1, 1), 0.95 if sum(colour) < 1.5 else 0.15)
    x, end = rng.uniform(left, left + 1), right - rng.uniform(0, 2)
    while x < end:  # letters of a few strokes
        for _ in range(3):
            x0, y0 = x + rng.uniform(0, 0.2), rng.uniform(2.6, 2.9)
            if rng.random() < 0.5:
                wall.fill(x0, x0 + 0.08, 2.6, 3.1, ink)
            else:
                wall.fill(x, x + 0.28, y0, y0 + 0.08, ink)
        x += rng.uniform(0.35, 0.6)


def _draw_marks(wall: _Wall, count: int) -> None:
    """Stains, pipes, plants, posters and repairs."""
    house, rng = wall.house, wall.rng
    for _ in range(count):
        x, y = rng.uniform(0, house.width_m), rng.uniform(0, house.height_m)
        size = rng.uniform(0.2, 1.6, 2)
        wall.fill(x, x + size[0], y, y + size[1], wall.near(house.wall, 0.35))


@lru_cache(maxsize=256)
def draw_ground(seed: int, number: int) -> Picture:
    """Draw stretch `number` of a street's ground, its far end above, its left on the left."""
    rng = np.random.default_rng([seed, number])
    width, length = 2 * (FACADE_M + APRON_M), STRETCH_M + 2 * APRON_M
    size = round(width * PX_PER_M), round(length * PX_PER_M)
    image = tinted(PAVEMENT, 0.15 * blocks(rng, size, (12, 10)), 0.3 * grain(rng, size))
    road = size[0] // 2 - round(KERB_M * PX_PER_M)
    asphalt = tinted(ASPHALT, 0.15 * grain(rng, (size[0] - 2 * road, size[1])))
    image.paste(asphalt, (road, 0))
    draw = ImageDraw.Draw(image)

    def fill(left: float, right: float, start: float, end: float, grey: float) -> None:
        corners = [width / 2 - left, length - APRON_M - end, width / 2 - right,
                   length - APRON_M - start]  # fmt: skip
        draw.rectangle([round(PX_PER_M * part) for part in corners], fill=pixel((grey,) * 3))

    for side in (1, -1):
        edges = sorted((side * KERB_M, side * (KERB_M + 0.2)))
        fill(edges[1], edges[0], -APRON_M, STRETCH_M + APRON_M, KERB[0])
    for _ in range(rng.integers(40, 90)):  # repairs, covers, stains and leaves
        middle = rng.uniform(0, 1, 2) * image.size
        corners = middle + PX_PER_M * rng.uniform(0.1, 1.2) * rng.uniform(-1, 1, (4, 2))
        colour = rng.uniform(0.15, 0.8) + rng.uniform(-0.06, 0.06, 3)
        draw.polygon(corners.ravel().tolist(), fill=pixel(colour.tolist()))
    for start in range(0, STRETCH_M, 5):
        fill(0.08, -0.08, start + rng.uniform(0, 0.8), start + rng.uniform(2, 3.2), PAINT[0])
    if rng.random() < 0.12:  # a crossing
        for left in np.arange(-KERB_M + 0.5, KERB_M - 0.5, 1.0):
            fill(left + 0.5, left, 3, 6.5, PAINT[0])
    return Picture(image)
