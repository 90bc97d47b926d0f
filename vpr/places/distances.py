"""How far apart places are, and the one rule for which are within a radius."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDING = 4  # units in the last place: two coordinates, their difference and its length


def metres_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances of places.

    Args:
        one: Easting and northing in metres, shape (..., 2).
        other: The same; the shapes broadcast.
    """
    distances: NDArray[np.float64] = np.linalg.norm(one - other, axis=-1)
    return distances


def is_within(
    one: NDArray[np.float64], other: NDArray[np.float64], *, radius_m: float
) -> NDArray[np.bool_]:
    """Return which places are within a radius of each other, the edge included.

    Coordinates and radius count as written in decimals: 19.3 - 19.0 is 0.3, though in binary it is
    a little more. So the edge is as wide as the rounding of these two places: four units in the
    last place of their largest coordinate and of the radius, 4e-9 m in UTM. No other place of the
    set changes the answer.

    Args:
        one: Easting and northing in metres, shape (..., 2).
        other: The same; the shapes broadcast.
        radius_m: The radius in metres.
    """
    largest = np.maximum(np.abs(one), np.abs(other)).max(axis=-1)
    edge = radius_m + rounding_of(largest, radius_m)
    within: NDArray[np.bool_] = metres_between(one, other) <= edge
    return within


def rounding_of(largest: NDArray[np.float64], radius_m: float) -> NDArray[np.float64]:
    """Bound what rounding adds to a distance, in metres.

    Args:
        largest: The largest coordinate, without its sign, of any shape.
        radius_m: Radius that the distance is compared with.
    """
    bound: NDArray[np.float64] = ROUNDING * (np.spacing(largest) + np.spacing(radius_m))
    return bound
