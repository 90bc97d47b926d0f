"""The picture of a house's facade: masonry, windows, a shop, and what years left on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import ImageDraw

from vpr.demo.pictures import PX_PER_M, Picture, blocks, grain, pixel, tinted
from vpr.demo.street import Building, Colour, scale

Rectangle = tuple[float, float, float, float]  # metres: left, right, low, high


@dataclass(frozen=True)
class Facade:
    """What a facade looks like.

    Args:
        windows: The panes that light up by night.
    """

    picture: Picture
    windows: list[Rectangle]


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
def draw_facade(house: Building) -> Facade:
    """Draw a house's facade; equal houses give equal pixels."""
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
    return Facade(Picture(wall.image), windows)


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
