"""Latitude and longitude of a data set's coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError


def latitude_longitude(coordinates: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    """Positions on the globe (WGS 84) of projected coordinates.

    Args:
        coordinates: Easting and northing in metres, shape (num_images, 2).
        crs: What they are in, as pyproj takes it: `EPSG:32633` is UTM zone 33 north.

    Returns:
        Latitude and longitude in degrees, same shape.

    Raises:
        ValueError: If the system is unknown, or coordinates lie outside it.
    """
    try:
        transformer = Transformer.from_crs(CRS.from_user_input(crs), "EPSG:4326", always_xy=True)
    except CRSError as error:
        raise ValueError(
            f"dataset.crs = {crs!r}: pyproj does not know it ({error}): expected a code such as "
            "EPSG:32633, or null"
        ) from None
    east, north = coordinates.T
    longitude, latitude = transformer.transform(east, north)
    found = np.column_stack([latitude, longitude])
    outside = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(outside):
        raise ValueError(
            f"dataset.crs = {crs!r}: image {outside[0]} at {coordinates[outside[0]].tolist()} lies "
            "outside it: are the coordinates in another system? null shows none"
        )
    return found
