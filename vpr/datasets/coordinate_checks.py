"""Whether coordinates can be metres of the reference system that is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from vpr.datasets.findings import Finding, Level
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.crs import (
    FROM_ZERO_M,
    MARGIN_DEG,
    check_crs,
    describe_area,
    lie_in_area,
    parse_metric_crs,
    scale_error,
    to_degrees,
    utm_crs,
)

MAX_LONGITUDE, MAX_LATITUDE = 180.0, 90.0
LARGEST_SET_DEG = 5.0  # no set of street photos spans more
TOWN_DEG = 1.0  # metres in a room span more than degrees of a set do
LARGEST_SET_KM = 100.0  # that is believed to be one in kilometres
LARGEST_SET_M = 1e6  # from its middle; what lies farther out is named
SCALE_NOTED, SCALE_REFUSED = 0.01, 0.05  # errors of a metre, as fractions


def check_coordinates(truth: GroundTruth, crs: str | None) -> Finding:
    """Check that coordinates can be metres, of the reference system if one is named."""
    every = np.concatenate([truth.database.coordinates, truth.query.coordinates])
    east, north = np.ptp(every, axis=0)
    words = f"finite, over {east:.0f} m x {north:.0f} m"
    subject = "coordinates"
    if crs is None:
        strange = describe_degrees(truth)
        if strange is not None:
            return Finding(subject, strange, Level.LOUD)
        return Finding(subject, f"{words}; dataset.crs = null, so no map", Level.FINE)
    try:
        system = parse_metric_crs(crs)
        _require_zone(truth, system, crs)
        for side, index in truth.sides():
            _require_metres(side, index.coordinates, system, crs)
            check_crs(crs, index.coordinates, side=side)
        doubts = [*_doubts(truth, every, system, crs)]
    except ValueError as error:
        return Finding(subject, str(error), Level.REFUSED)
    level = max((level for level, _ in doubts), default=Level.FINE)
    told = [f"{words}, {system.name}", *(doubt for _, doubt in doubts)]
    return Finding(subject, "; ".join(told), level)


def describe_degrees(truth: GroundTruth) -> str | None:
    """Say that a side's coordinates look like degrees, if they do, and what to do."""
    for side, index in truth.sides():
        places = index.coordinates
        if (places != places.round(3)).any() and _fit_the_globe(places):
            return _advise(side, places)
    return None


def _fit_the_globe(places: NDArray[np.float64]) -> bool:
    """Return whether a set can lie at these degrees, in either order, shape (num_images, 2)."""
    for longitude, latitude in (places.T, places.T[::-1]):
        if np.abs(longitude).max() <= MAX_LONGITUDE and np.abs(latitude).max() <= MAX_LATITUDE:
            across = (longitude - longitude[0] + MAX_LONGITUDE) % (2 * MAX_LONGITUDE)  # date line
            if max(np.ptp(across), np.ptp(latitude)) <= LARGEST_SET_DEG:
                return True
    return False


def _advise(side: str, degrees: NDArray[np.float64]) -> str:
    return (
        f"they look like degrees (the first of the {side} is {degrees[0].tolist()}): convert them "
        "to metres of a projected system, such as EPSG:32633, with pyproj"
    )


def _require_zone(truth: GroundTruth, system: CRS, name: str) -> None:
    """Refuse a system that is not the one that the file names tell."""
    if not truth.utm_zones or truth.utm_zones == (system.utm_zone,):
        return
    several, (zone, *_) = len(truth.utm_zones) > 1, truth.utm_zones
    raise ValueError(
        f"dataset.crs = {name} ({system.name}), but the file names give UTM zone "
        f"{' and '.join(truth.utm_zones)}: set dataset.crs: "
        f"{'null' if several else f'EPSG:{utm_crs(zone).to_epsg()}'}"
    )


def _require_metres(side: str, places: NDArray[np.float64], system: CRS, name: str) -> None:
    """Refuse degrees, and kilometres that lie in the system's area, where metres do not."""
    if system.area_of_use is None or not (places != places.round()).any():
        return  # a system of one's own may start anywhere, and frames are whole
    start = f"dataset.crs = {name} ({system.name}): the {side} coordinates are not in its metres:"
    middle, extent = np.median(places, axis=0), np.ptp(places, axis=0).max()
    if extent <= TOWN_DEG and _fit_the_globe(places):
        raise ValueError(
            f"{start} {_advise(side, places)}; or set dataset.crs: null, if they are metres of no "
            "place on Earth"
        )
    in_plane = bool(places.any(axis=0).all())  # metres along a line leave one at 0
    in_km = not _lies_in(system, middle) and _lies_in(system, 1000 * middle)
    if in_plane and in_km and extent < LARGEST_SET_KM:
        raise ValueError(
            f"{start} they look like kilometres (the first is {places[0].tolist()}): multiply them "
            "by 1000"
        )


def _doubts(
    truth: GroundTruth, every: NDArray[np.float64], system: CRS, name: str
) -> Iterator[tuple[Level, str]]:
    """Yield findings on coordinates that are possible but often wrong.

    Raises:
        ValueError: If a metre of the system is not a metre on the ground.
    """
    middle, degrees = np.median(every, axis=0), to_degrees(system, every)
    (here,) = to_degrees(system, middle[None])
    look_like_frames = not every.any(axis=0).all() and bool((every == every.round()).all())
    if look_like_frames or not _lies_in(system, middle):
        yield (
            Level.LOUD if np.abs(middle).max() < FROM_ZERO_M else Level.NOTE,
            f"the set's middle would lie at longitude {here[1]:.2f}, latitude {here[0]:.2f}, "
            f"but {name} is made for {describe_area(system)}, though sets may cross its border: "
            "set dataset.crs: null if coordinates count frames, or are metres of no place on Earth",
        )
    strange = describe_degrees(truth)
    if strange is not None and system.area_of_use is not None:
        yield Level.LOUD, strange
    far = np.linalg.norm(every - middle, axis=1) > LARGEST_SET_M
    far |= ~lie_in_area(system, degrees, margin_deg=MARGIN_DEG)
    if far.any():
        first = int(np.argmax(far))
        path = [*truth.database.paths, *truth.query.paths][first]
        yield (
            Level.NOTE,
            f"{np.count_nonzero(far)} of {len(every)} images lie far from all others, first "
            f"{path!r} at {every[first].tolist()}: do they lack a position?",
        )
    error = scale_error(system, here)
    if error > SCALE_REFUSED:
        raise ValueError(
            f"dataset.crs = {name} ({system.name}): its metres are off by {error:.0%} at the set's "
            "middle, so a radius in metres would be wrong: convert the coordinates to a UTM zone, "
            "such as EPSG:32633, with pyproj"
        )
    if error > SCALE_NOTED:
        yield Level.LOUD, f"its metres are off by {error:.1%} there: a UTM zone is more accurate"


def _lies_in(system: CRS, place: NDArray[np.float64]) -> bool:
    return bool(lie_in_area(system, to_degrees(system, place[None]), margin_deg=0)[0])
