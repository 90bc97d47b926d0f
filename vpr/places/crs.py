"""The coordinate reference system of a data set, as pyproj knows it, and where it holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError

from vpr.places.index import FULL_CIRCLE_DEG, ImageIndex

FROM_ZERO_M = 1e5  # coordinates that start at 0 and are of no place on Earth are smaller
MARGIN_DEG = 6.0  # sets near a border use the neighbour's zone; a UTM zone is 6 degrees wide


def parse_crs(name: str) -> CRS:
    """Find a reference system; one that is given by its parameters, by its code if it has one.

    Args:
        name: Name such as `EPSG:32633`, which is UTM zone 33 north.

    Raises:
        ValueError: If pyproj knows no such system.
    """
    try:
        found = CRS.from_user_input(name)
        code = None if found.area_of_use else found.to_epsg()
        return found if code is None else CRS.from_epsg(code)
    except CRSError as error:
        raise ValueError(
            f"dataset.crs = {name}: expected a code such as EPSG:32633, or null; pyproj knows no "
            f"such reference system ({error})"
        ) from None


def parse_metric_crs(name: str) -> CRS:
    """Find a reference system whose coordinates are metres on a plane.

    Args:
        name: Name for `parse_crs`.

    Raises:
        ValueError: If pyproj knows no such system, or it counts anything else.
    """
    crs = parse_crs(name)
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or units != {"metre"}:
        raise ValueError(
            f"dataset.crs = {name} ({crs.name}) counts in {', '.join(sorted(units))}: coordinates "
            "must be metres of a projected system, such as EPSG:32633 (UTM zone 33 north); convert "
            "them with pyproj"
        )
    return crs


def check_crs(name: str, coordinates: NDArray[np.float64], *, side: str = "set") -> None:
    """Check that coordinates can be metres of a reference system.

    Args:
        name: Name such as `EPSG:32633`, which is UTM zone 33 north.
        coordinates: Easting and northing in metres, shape (num_images, 2).
        side: The side they belong to, for the message.

    Raises:
        ValueError: If pyproj knows no such system, it does not count metres, or the coordinates'
            middle lies far from the area it is made for.
    """
    crs = parse_metric_crs(name)
    middle = np.median(coordinates, axis=0)
    here, swapped = to_degrees(crs, np.stack([middle, middle[::-1]]))
    if not lie_in_area(crs, here[None], margin_deg=MARGIN_DEG)[0]:
        is_swapped = lie_in_area(crs, swapped[None], margin_deg=0)[0]
        doubt = "easting and northing swapped?" if is_swapped else "another zone or system?"
        raise ValueError(
            f"dataset.crs = {name} ({crs.name}) is made for {describe_area(crs)}, but the {side}'s "
            f"middle, easting {middle[0]:.0f} and northing {middle[1]:.0f}, would lie at longitude "
            f"{here[1]:.2f}, latitude {here[0]:.2f}: {doubt} Coordinates of no place on Earth need "
            "dataset.crs: null"
        )


def latitude_longitude(coordinates: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    """Compute positions on the globe (WGS 84) from projected coordinates.

    Args:
        coordinates: Easting and northing in metres, shape (num_images, 2).
        crs: Their reference system, for pyproj: `EPSG:32633` is UTM zone 33 north.

    Returns:
        Latitude and longitude in degrees, same shape.

    Raises:
        ValueError: If the system is unknown, or coordinates lie outside it.
    """
    found = to_degrees(parse_crs(crs), coordinates)
    outside = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(outside):
        raise ValueError(
            f"dataset.crs = {crs!r}: image {outside[0]} at {coordinates[outside[0]].tolist()} lies "
            "outside it: are the coordinates in another system? Set it to null for no map"
        )
    return found


def lies_nowhere(coordinates: NDArray[np.float64], crs: str) -> bool:
    """Return whether coordinates start near 0 and lie outside a system's area, as frame numbers do.

    Args:
        coordinates: Easting and northing, shape (num_images, 2).
        crs: Their supposed reference system, for pyproj.
    """
    middle, system = np.median(coordinates, axis=0), parse_crs(crs)
    here = to_degrees(system, middle[None])
    return bool(
        np.abs(middle).max() < FROM_ZERO_M and not lie_in_area(system, here, margin_deg=0)[0]
    )


def to_degrees(crs: CRS, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Latitude and longitude (WGS 84), infinite where coordinates lie outside the system.

    Args:
        crs: The system.
        coordinates: Easting and northing in its unit, shape (num_places, 2).
    """
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = transformer.transform(*coordinates.T)
    return np.column_stack([latitude, longitude])


def lie_in_area(crs: CRS, degrees: NDArray[np.float64], *, margin_deg: float) -> NDArray[np.bool_]:
    """Return whether places lie in the area that a system is made for; all do if that is unknown.

    Args:
        crs: The system.
        degrees: Latitude and longitude, shape (num_places, 2).
        margin_deg: Degrees by which the area is taken wider.
    """
    area = crs.area_of_use
    latitude, longitude = degrees.T
    if area is None:
        return np.asarray(np.isfinite(degrees).all(axis=1), dtype=np.bool_)
    width = (area.east - area.west) % 360 or 360
    with np.errstate(invalid="ignore"):  # of what is infinite
        along = (longitude - (area.west - margin_deg)) % 360
    south, north = area.south - margin_deg, area.north + margin_deg
    inside = np.isfinite(along) & (along <= width + 2 * margin_deg)
    return np.asarray(inside & (south <= latitude) & (latitude <= north), dtype=np.bool_)


def describe_area(crs: CRS) -> str:
    """Put in words the area that a system is made for."""
    area = crs.area_of_use
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


def list_directions(index: ImageIndex, crs: str | None) -> list[float | None] | None:
    """List where images look on a map of easting and northing, for drawing; None if unknown.

    Args:
        index: The images.
        crs: Reference system of their coordinates.
    """
    if index.heading is None or not index.has_places:
        return None
    towards = grid_headings(index.heading, index.coordinates, crs).round(1).tolist()
    return [None if np.isnan(deg) else deg for deg in towards]


def grid_headings(
    headings: NDArray[np.float64], coordinates: NDArray[np.float64], crs: str | None
) -> NDArray[np.float64]:
    """Convert headings from true north to the northing axis of a map.

    Args:
        headings: NDArray[np.float64] clockwise from true north, shape (num_images,).
        coordinates: Easting and northing, shape (num_images, 2).
        crs: Their reference system; without one, or outside it, headings stay as they are.
    """
    if crs is None or lies_nowhere(coordinates, crs):
        return headings
    system = parse_crs(crs)
    latitude, longitude = to_degrees(system, coordinates).T
    convergence = Proj(system).get_factors(longitude, latitude).meridian_convergence
    turned: NDArray[np.float64] = (
        headings - np.where(np.isfinite(convergence), convergence, 0)
    ) % FULL_CIRCLE_DEG
    return turned
