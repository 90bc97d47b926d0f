"""Telling degrees, which must not be taken for metres, by their looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LONGITUDE, MAX_LATITUDE = 180.0, 90.0
LARGEST_SET_DEG = 5.0  # no set of street photos spans more


def like_degrees(places: NDArray[np.float64]) -> bool:
    """Return whether coordinates look like degrees: small, with fractions, over no more than a few.

    Args:
        places: Shape (num_images, 2), longitude and latitude in either order.
    """
    fractions = bool((places != places.round(3)).any())
    return fractions and any(fit_the_globe(one) for one in (places, places[:, ::-1]))


def fit_the_globe(places: NDArray[np.float64]) -> bool:
    """Return whether a set can lie at these longitudes and latitudes.

    Args:
        places: Shape (num_images, 2), longitude first.
    """
    longitude, latitude = places.T
    if np.abs(longitude).max() > MAX_LONGITUDE or np.abs(latitude).max() > MAX_LATITUDE:
        return False
    across = (longitude - longitude[0] + MAX_LONGITUDE) % (2 * MAX_LONGITUDE)  # the date line
    return bool(max(np.ptp(across), np.ptp(latitude)) <= LARGEST_SET_DEG)


def tell_degrees(side: str, places: NDArray[np.float64]) -> str:
    """Say of a side's coordinates that they look like degrees, and what to do."""
    return (
        f"they look like degrees (the first of the {side} is {places[0].tolist()}): convert them "
        "to metres of a projected system, such as EPSG:32633, with pyproj"
    )
