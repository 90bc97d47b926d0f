"""The coordinate reference system of a data set, as pyproj knows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

MARGIN_DEG = 6.0  # sets near a border use the neighbour's zone; a UTM zone is 6 degrees wide


def check_crs(name: str, coordinates: NDArray[np.float64]) -> str:
    """Check that coordinates can be metres of a reference system.

    Args:
        name: As in `EPSG:32633`, which is UTM zone 33 north.
        coordinates: Easting and northing in metres, shape (num_images, 2).

    Returns:
        The system's name in words.

    Raises:
        ValueError: If pyproj knows no such system, it does not count metres, or the coordinates
            lie far from the area it is made for.
    """
    try:
        crs = CRS.from_user_input(name)
    except CRSError as error:
        raise ValueError(f"dataset.crs = {name}: no such reference system: {error}") from None
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or units != {"metre"}:
        raise ValueError(
            f"dataset.crs = {name} ({crs.name}) counts in {', '.join(sorted(units))}: coordinates "
            "must be metres of a projected system, as EPSG:32633 (UTM zone 33 north); convert them "
            "with pyproj"
        )
    _check_area(name, crs, coordinates)
    return str(crs.name)


def _check_area(name: str, crs: CRS, coordinates: NDArray[np.float64]) -> None:
    area = crs.area_of_use
    if area is None or area.west > area.east:  # unknown, or across the date line
        return
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    place = coordinates.mean(axis=0)
    east, north = to_degrees.transform(*place)
    inside = (
        area.west - MARGIN_DEG <= east <= area.east + MARGIN_DEG
        and area.south - MARGIN_DEG <= north <= area.north + MARGIN_DEG
    )
    if not inside:
        raise ValueError(
            f"dataset.crs = {name} ({crs.name}) is made for {area.name} but the set's middle, "
            f"easting {place[0]:.0f} and northing {place[1]:.0f}, would lie at longitude "
            f"{east:.2f}, latitude {north:.2f}: another zone, or easting and northing swapped?"
        )
