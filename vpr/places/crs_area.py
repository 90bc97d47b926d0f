"""Where on Earth a reference system is made for, and how true its metres are there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj

NORTHERNMOST, SOUTHERNMOST = 84.0, -80.0  # latitudes of UTM


class Area(NamedTuple):
    """The area that a system is made for, in degrees; west > east: across the date line."""

    west: float
    south: float
    east: float
    north: float


def lie_in_area(crs: CRS, degrees: NDArray[np.float64], *, margin_deg: float) -> NDArray[np.bool_]:
    """Return whether places lie in the area that a system is made for; all do if that is unknown.

    Args:
        crs: The system.
        degrees: Latitude and longitude, shape (num_places, 2).
        margin_deg: Degrees by which the area is taken wider.
    """
    area = _area(crs)
    latitude, longitude = degrees.T
    if area is None:
        return np.asarray(np.isfinite(degrees).all(axis=1), dtype=np.bool_)
    width = (area.east - area.west) % 360 or 360
    with np.errstate(invalid="ignore"):  # of what is infinite
        along = (longitude - (area.west - margin_deg)) % 360
    south, north = area.south - margin_deg, area.north + margin_deg
    inside = np.isfinite(along) & (along <= width + 2 * margin_deg)
    return np.asarray(inside & (south <= latitude) & (latitude <= north), dtype=np.bool_)


def has_area(crs: CRS) -> bool:
    """Return whether the area is known that a system is made for."""
    return _area(crs) is not None


def tell_area(crs: CRS) -> str:
    """Put in words the area that a system is made for."""
    area = _area(crs)
    if area is None:
        return "an area that pyproj does not know"
    return f"longitudes {area.west:g} to {area.east:g}, latitudes {area.south:g} to {area.north:g}"


def scale_error(crs: CRS, degrees: NDArray[np.float64]) -> float:
    """Compute how far a metre of a system is from one on the ground, as a fraction.

    Args:
        crs: The system.
        degrees: Latitude and longitude, shape (2,).

    Returns:
        The larger error of both axes; 0 if pyproj cannot tell.
    """
    factors = Proj(crs).get_factors(degrees[1], degrees[0], errcheck=False)
    error = max(abs(factors.meridional_scale - 1), abs(factors.parallel_scale - 1))
    return error if np.isfinite(error) else 0.0


def utm_crs(zone: str) -> CRS:
    """Make the system of a UTM zone on WGS 84.

    Args:
        zone: Number and hemisphere, as 33N.
    """
    return CRS.from_epsg((32_600 if zone.endswith("N") else 32_700) + int(zone[:-1]))


def _area(crs: CRS) -> Area | None:
    known = crs.area_of_use
    if known is not None:
        return Area(known.west, known.south, known.east, known.north)
    if crs.utm_zone:  # given by its parameters and not by a code
        west = 6.0 * int(crs.utm_zone[:-1]) - 186
        south, north = (0.0, NORTHERNMOST) if crs.utm_zone[-1] == "N" else (SOUTHERNMOST, 0.0)
        return Area(west, south, west + 6, north)
    return None
