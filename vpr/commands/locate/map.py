"""The map of a located photo: numbers that the page draws as SVG, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.locating.matches import Located, Places

MARGIN = 0.12  # of the longer side, around what is shown
LEAST_M = 40.0  # longer side of what is shown, at least
WIDEST = 3.0  # ratio of the sides, at most
MOST_DOTS = 1500
LENGTHS_M = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]  # of the scale bar


def describe_map(located: Located, places: Places) -> dict[str, Any] | None:
    """Collect what the map of a photo shows, in metres east and south of its first match.

    Args:
        located: The photo and its matches.
        places: The database's places.

    Returns:
        `box` (left, top, width, height), `dots` (places of the database), `matches` (rank, x, y),
        `position` (x, y) and `circle` (its radius), None where they are unknown, and `scale`
        (metres of a scale bar), None where coordinates may count frames. None: the matches have no
        places.
    """
    coordinates = places.database.coordinates
    found = [match for match in located.matches if match.easting is not None]
    if not found:
        return None
    origin = coordinates[found[0].image]
    matches = _moved(coordinates[[match.image for match in found]], origin)
    position, circle, shown = None, None, matches
    if located.position is not None:
        place = np.array([[located.position.easting, located.position.northing]])
        position, circle = _moved(place, origin), located.position.uncertainty_m
        reach = np.array([[-1, -1], [1, 1]]) * (circle or 0)
        shown = np.concatenate([matches, position + reach])
    low, high = shown.min(axis=0), shown.max(axis=0)
    longer = max(float((high - low).max()), LEAST_M)
    size = np.maximum(high - low, longer / WIDEST) + 2 * MARGIN * longer
    corner = (low + high - size) / 2
    dots = _moved(coordinates, origin)
    near = (dots >= corner - size) & (dots <= corner + 2 * size)  # wide windows show more
    dots = dots[near.all(axis=1)]
    dots = dots[:: max(1, -(-len(dots) // MOST_DOTS))]
    scale = None
    if places.globe is not None:
        scale = max(length for length in LENGTHS_M if length <= max(size[0] / 4, LENGTHS_M[0]))
    return {
        "box": _listed([*corner, *size]),
        "dots": [_listed(dot) for dot in dots],
        "matches": [(match.rank, *_listed(at)) for match, at in zip(found, matches, strict=True)],
        "position": None if position is None else _listed(position[0]),
        "circle": circle,
        "scale": scale,
    }


def _moved(places: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """East and south of the origin; near 0, since browsers draw in 32 bits."""
    return (places - origin) * [1, -1]


def _listed(numbers: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(number), 2) for number in numbers]
