"""The demo's world: a gently curved street of buildings and trees, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KERB_M = 5.5  # from the middle of the road to the kerb
FACADE_M = 9.0  # to the facades
STEP_M = 1.0  # between the stored points of the middle line

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Road:
    """The middle line of the road.

    Args:
        points: Easting and northing in metres, one point per metre, shape (n, 2).
        headings: Direction at each point, radians from east, shape (n,).
    """

    points: NDArray[np.float64]
    headings: NDArray[np.float64]

    def place(self, along_m: float, left_m: float) -> NDArray[np.float64]:
        """Easting and northing of a point this far along the road and left of its middle."""
        heading = self.heading(along_m)
        left = np.array([-np.sin(heading), np.cos(heading)])
        point: NDArray[np.float64] = self._between(self.points, along_m) + left_m * left
        return point

    def heading(self, along_m: float) -> float:
        """Compute the direction of the road there, radians from east."""
        return float(self._between(self.headings, along_m))

    def _between(self, values: NDArray[np.float64], along_m: float) -> NDArray[np.float64]:
        place = min(max(along_m / STEP_M, 0), len(values) - 1.001)
        before = int(place)
        between: NDArray[np.float64] = values[before] + (place - before) * (
            values[before + 1] - values[before]
        )
        return between


@dataclass(frozen=True)
class Building:
    """A house of the row along the road, and its style.

    Args:
        side: 1 on the left, -1 on the right.
        along_m: Position of its beginning along the road.
        width_m: Size along the road.
        wall: Colour, RGB in [0, 1].
        trim: Colour of frames, door and roof edge.
        shop: Colour of the shop's sign, or None for a house without a shop.
        bays: Windows per row.
        window: Share of a bay and of a storey that a window takes.
        seed: Seed of what distinguishes it from other houses of the style.
    """

    side: int
    along_m: float
    width_m: float
    storeys: int
    storey_m: float
    wall: Colour
    trim: Colour
    shop: Colour | None
    bays: int
    window: tuple[float, float]
    seed: int

    @property
    def height_m(self) -> float:
        """Height of the facade."""
        return self.storeys * self.storey_m + 0.8


@dataclass(frozen=True)
class Tree:
    """A tree or a lamp at the roadside.

    Args:
        side: 1 on the left, -1 on the right.
        along_m: Position along the road.
        crown_m: Radius of the crown; 0 for a lamp.
        green: Colour of the crown, RGB in [0, 1].
        seed: Of its leaves.
    """

    side: int
    along_m: float
    height_m: float
    crown_m: float
    green: Colour
    seed: int


@dataclass(frozen=True)
class Street:
    """Everything that stays for years; `ground` is the seed of the ground's pictures."""

    road: Road
    ground: int
    buildings: list[Building]
    trees: list[Tree]


def build_street(length_m: float, rng: np.random.Generator) -> Street:
    """Build a street of a length in metres."""
    buildings = [each for side in (1, -1) for each in _row(side, length_m, rng)]
    trees = [each for side in (1, -1) for each in _trees(side, length_m, rng)]
    return Street(_road(length_m, rng), _seed(rng), buildings, trees)


def _road(length_m: float, rng: np.random.Generator) -> Road:
    grid = np.arange(0, length_m + 2 * STEP_M, STEP_M)
    waves = rng.uniform(0.1, 0.25, 3)[:, None] * np.sin(
        grid / rng.uniform(90, 260, 3)[:, None] + rng.uniform(0, 2 * np.pi, 3)[:, None]
    )
    headings = waves.sum(axis=0)
    steps = STEP_M * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return Road(np.cumsum(steps, axis=0), headings)


def _row(side: int, length_m: float, rng: np.random.Generator) -> list[Building]:
    row = []
    along = -10.0
    while along < length_m:
        width = float(rng.uniform(8, 20))
        row.append(_building(side, along, width, rng))
        gap = rng.uniform(4, 14) if rng.random() < 0.18 else rng.uniform(0, 0.3)
        along += width + float(gap)
    return row


def _building(side: int, along_m: float, width_m: float, rng: np.random.Generator) -> Building:
    grey = rng.uniform(0.25, 0.9)
    wall = as_colour(grey + rng.normal(0, 0.05, 3) + rng.uniform(0, 0.07) * np.array([1, 0.2, -1]))
    trim = as_colour(grey + rng.choice([-0.3, 0.2]) + rng.normal(0, 0.03, 3))
    shop = as_colour(rng.uniform(0.1, 0.85, 3)) if rng.random() < 0.55 else None
    bays = max(2, round(width_m / float(rng.uniform(1.6, 5.0))))
    window = (float(rng.uniform(0.25, 0.85)), float(rng.uniform(0.3, 0.85)))
    storeys, storey = int(rng.integers(3, 7)), float(rng.uniform(2.8, 3.8))
    return Building(
        side, along_m, width_m, storeys, storey, wall, trim, shop, bays, window, _seed(rng)
    )


def _trees(side: int, length_m: float, rng: np.random.Generator) -> list[Tree]:
    trees = []
    along = float(rng.uniform(0, 15))
    while along < length_m:
        is_lamp, is_bush = rng.random() < 0.25, rng.random() < 0.5
        crown = (
            0.0 if is_lamp else float(rng.uniform(0.6, 1.2) if is_bush else rng.uniform(1.2, 2.4))
        )
        height = float(rng.uniform(1, 2) if crown and is_bush else rng.uniform(5, 8))
        green = as_colour(np.array([0.25, 0.4, 0.18]) + rng.normal(0, 0.06, 3))
        trees.append(Tree(side, along, height, crown, green, _seed(rng)))
        along += float(rng.uniform(4, 13))
    return trees


def scale(colour: Colour, factor: float) -> Colour:
    """Make a colour lighter or darker."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))


def as_colour(values: NDArray[np.float64], low: float = 0.05, high: float = 0.95) -> Colour:
    """Clip three values to a colour."""
    red, green, blue = np.clip(values, low, high)
    return float(red), float(green), float(blue)
