"""Positions of an import on one plane: the UTM zone of their median, for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from vpr.importing.collection import DEGREES
from vpr.places.crs import parse_metric_crs

POLES = {1: "EPSG:5041", -1: "EPSG:5042"}  # universal polar stereographic, easting first
NORTHERNMOST, SOUTHERNMOST = 84, -80  # degrees of latitude that UTM reaches
ZONE_DEG = 6
APART_M, APART_DEG = 1e5, 1.0  # places of two zones farther apart are never compared
FAR_DEG = 12.0  # of longitude from the zone's meridian, where 25 m at latitude 47 count as 25.25


def choose_crs(degrees: NDArray[np.float64]) -> str:
    """Choose the UTM zone that the median of positions lies in.

    One zone serves all: 6 degrees off its meridian 25 m are 25.05 at latitude 47, while eastings
    jump by hundreds of kilometres from zone to zone.

    Args:
        degrees: Latitude and longitude, shape (num_places, 2).

    Returns:
        A code, as EPSG:32633.
    """
    latitude, longitude = middle_of(degrees)
    if not SOUTHERNMOST <= latitude <= NORTHERNMOST:
        return POLES[1 if latitude > 0 else -1]
    zone = int((longitude + 180) // ZONE_DEG) % 60 + 1
    return f"EPSG:{(32_600 if latitude >= 0 else 32_700) + zone}"


def middle_of(degrees: NDArray[np.float64]) -> tuple[float, float]:
    """Find the median latitude and longitude, also across the 180th meridian."""
    latitude, longitude = degrees.T
    start = longitude[0] - 180
    middle = float(np.median((longitude - start) % 360) + start)
    return float(np.median(latitude)), (middle + 180) % 360 - 180


def lie_far(degrees: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which positions lie too far from the middle to be on one plane with the others."""
    latitude, longitude = degrees.T
    middle = middle_of(degrees)
    if not SOUTHERNMOST <= middle[0] <= NORTHERNMOST:
        return np.asarray(np.abs(latitude - middle[0]) > FAR_DEG, dtype=np.bool_)
    away = np.abs((longitude - middle[1] + 180) % 360 - 180)
    return np.asarray((away > FAR_DEG) | (np.abs(latitude - middle[0]) > FAR_DEG), dtype=np.bool_)


def to_plane(places: NDArray[np.float64], *, source: str, target: str) -> NDArray[np.float64]:
    """Convert positions to easting and northing.

    Args:
        places: Latitude and longitude where the source is `DEGREES`, else easting and northing,
            shape (num_places, 2).
        source: Reference system of the positions.
        target: A metric one, for pyproj.

    Raises:
        ValueError: If pyproj does not know one of them, or the target does not count metres.
    """
    if source == target:
        return places
    first, second = places.T[::-1] if source == DEGREES else places.T
    transformer = Transformer.from_crs(source, parse_metric_crs(target), always_xy=True)
    return np.column_stack(transformer.transform(first, second))


def to_degrees(places: NDArray[np.float64], *, source: str) -> NDArray[np.float64]:
    """Convert positions to latitude and longitude, see `to_plane`."""
    if source == DEGREES:
        return places
    transformer = Transformer.from_crs(parse_metric_crs(source), DEGREES, always_xy=True)
    return np.column_stack(transformer.transform(*places.T)[::-1])


def find_near(groups: Mapping[str, NDArray[np.float64]], least: float) -> tuple[str, str] | None:
    """Find two groups of places, each shape (n, 2), whose boxes are nearer than `least`."""
    boxes = {name: (places.min(axis=0), places.max(axis=0)) for name, places in groups.items()}
    for one, other in combinations(boxes, 2):
        (low, high), (other_low, other_high) = boxes[one], boxes[other]
        if np.maximum(low - other_high, other_low - high).max() < least:
            return one, other
    return None
