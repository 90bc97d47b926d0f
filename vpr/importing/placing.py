"""Photos on one plane, the UTM zone of their median, each with a unique name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, count
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from vpr.importing.collection import DEGREES, NO_POSITION, Collection, LeftOut, Shot, Side
from vpr.places.crs import parse_metric_crs
from vpr.places.crs import to_degrees as from_plane

DEGREES_PER_HOUR = 15
PHOTOS = "photos"  # folder of the images in the set
Floats = NDArray[np.float64]
ZONE_DEG = 6
APART_M, APART_DEG = 1e5, 1.0  # places of two zones farther apart are never compared
FAR_DEG = 12.0  # of longitude from the zone's meridian, where 25 m at latitude 47 count as 25.25


def choose_crs(degrees: Floats) -> str:
    """Choose the UTM zone that the median of positions lies in.

    One zone serves all: 6 degrees off its meridian 25 m are 25.05 at latitude 47, while eastings
    jump by hundreds of kilometres from zone to zone.

    Args:
        degrees: Latitude and longitude, shape (num_places, 2).

    Returns:
        A code, as EPSG:32633.
    """
    latitude, longitude = middle_of(degrees)
    zone = int((longitude + 180) // ZONE_DEG) % 60 + 1
    return f"EPSG:{(32_600 if latitude >= 0 else 32_700) + zone}"


def middle_of(degrees: Floats) -> tuple[float, float]:
    """Find the median latitude and longitude, also across the 180th meridian."""
    latitude, longitude = degrees.T
    start = longitude[0] - 180
    middle = float(np.median((longitude - start) % 360) + start)
    return float(np.median(latitude)), (middle + 180) % 360 - 180


def lie_far(degrees: Floats, middle: tuple[float, float]) -> NDArray[np.bool_]:
    """Return which positions lie too far from the middle to be on one plane with the others."""
    north, east = (degrees - middle).T
    away = np.maximum(np.abs(north), np.abs((east + 180) % 360 - 180))
    return np.asarray(away > FAR_DEG, dtype=np.bool_)


def to_plane(places: Floats, *, source: str, target: str) -> Floats:
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


def to_degrees(places: Floats, *, source: str) -> Floats:
    """Convert positions to latitude and longitude, see `to_plane`."""
    return places if source == DEGREES else from_plane(parse_metric_crs(source), places)


def find_near(groups: Mapping[str, Floats], least: float) -> tuple[str, str] | None:
    """Find two groups of places, each shape (n, 2), whose boxes are nearer than `least`."""
    boxes = {name: (places.min(axis=0), places.max(axis=0)) for name, places in groups.items()}
    for one, other in combinations(boxes, 2):
        (low, high), (other_low, other_high) = boxes[one], boxes[other]
        if np.maximum(low - other_high, other_low - high).max() < least:
            return one, other
    return None


def headings_of(forward: Floats) -> Floats:
    """Headings of directions east and north, shape (n, 2), in degrees clockwise from north."""
    headings: Floats = np.degrees(np.arctan2(forward[:, 0], forward[:, 1])) % 360
    return headings


class Placed(NamedTuple):
    """Photos on one plane, each under a name of its own.

    Args:
        shots: Their positions are easting and northing.
        crs: Reference system of the positions; None: of no place on Earth.
        hours_east: The sun's time there less UTC.
        left_out: By reason.
    """

    shots: list[Shot]
    crs: str | None
    hours_east: float
    left_out: LeftOut


def place_shots(
    parts: Sequence[tuple[Side | None, Collection]], *, crs: str | None, labels: bool
) -> Placed:
    """Put collections on one plane.

    Args:
        parts: Collections, and the side that the command line gives them to.
        crs: Reference system to write; None: the collections' own if it is metric and the same in
            all, else the UTM zone of their median.
        labels: Whether photos need positions.

    Raises:
        ValueError: If nothing is left, or the reference systems do not go together.
    """
    left_out = LeftOut()
    groups: list[tuple[str | None, list[Shot]]] = []
    for side, part in parts:
        left_out.update(part.left_out)
        shots = [replace(shot, side=side or shot.side) for shot in part.shots]
        if labels:
            for shot in shots:
                if shot.at is None:
                    left_out.add(NO_POSITION, shot.name)
            shots = [shot for shot in shots if shot.at is not None]
        groups.append((part.crs if any(shot.at for shot in shots) else DEGREES, shots))
    placed, target, hours_east = _place(groups, crs, left_out)
    named = _name_apart(placed, left_out)
    if not named:
        hint = ": --no-labels takes them" if left_out.counts[NO_POSITION] else ""
        raise ValueError(f"nothing to import: {'; '.join(left_out.lines()) or 'no photos'}{hint}")
    return Placed(named, target, hours_east, left_out)


def safe_name(parts: Iterable[str]) -> str:
    """Make a name that any system can hold: no backslashes and no control characters.

    Args:
        parts: Parts of a path, none of which leads upwards.
    """
    texts = ("".join(c if c.isprintable() and c != "\\" else "_" for c in part) for part in parts)
    return PurePosixPath(*texts).as_posix()


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Make a key that sorts names by their numbers: 2.jpg before 10.jpg."""
    parts = enumerate(re.split(r"(\d+)", name))
    return [(int(part), "") if place % 2 else (0, part) for place, part in parts], name


def number_name(name: str) -> Iterator[str]:
    """Yield a.jpg, a-2.jpg, a-3.jpg, ..."""
    path = PurePosixPath(name)
    yield name
    yield from (f"{path.with_suffix('')}-{n}{path.suffix}" for n in count(2))


def _place(
    groups: Sequence[tuple[str | None, list[Shot]]], crs: str | None, left_out: LeftOut
) -> tuple[list[Shot], str | None, float]:
    """Convert positions to one plane.

    Args:
        groups: Photos by the reference system of their positions.
        crs: That of the plane; None: to be chosen.
        left_out: Where photos too far off the plane are counted.

    Returns:
        The photos on it; its reference system; and the sun's time there less UTC, in hours.
    """
    shots = [shot for _, those in groups for shot in those]
    systems = {system for system, those in groups if any(shot.at for shot in those)}
    if None in systems or not systems:
        if len(systems) > 1 or crs is not None:
            raise ValueError(
                "some positions are of no place on Earth: they cannot be converted, nor be one set "
                "with others"
            )
        return shots, None, 0.0
    places = [(str(system), _places_of(those)) for system, those in groups if those]
    degrees = np.concatenate([to_degrees(those, source=system) for system, those in places])
    is_known = np.array([shot.at is not None for shot in shots])
    far = lie_far(degrees, middle_of(degrees[is_known]))
    if crs is None and len(systems) == 1 and DEGREES not in systems:
        (crs,) = systems
    near = degrees[is_known & ~far]
    target = crs or choose_crs(near)
    plane = np.concatenate([to_plane(xy, source=system, target=target) for system, xy in places])
    is_placed = np.isfinite(plane).all(axis=1) & ~far
    placed = []
    for row, shot in enumerate(shots):
        if is_placed[row]:
            placed.append(replace(shot, at=(float(plane[row, 0]), float(plane[row, 1]))))
        elif shot.at is None:
            placed.append(shot)
        else:
            left_out.add(
                "too far from the others for one plane: make it a set of its own", shot.name
            )
    return placed, target, middle_of(near)[1] / DEGREES_PER_HOUR


def _places_of(shots: Sequence[Shot]) -> Floats:
    """Positions, NaN where unknown, shape (num_shots, 2)."""
    return np.array([shot.at or (np.nan, np.nan) for shot in shots])


def _name_apart(shots: Sequence[Shot], left_out: LeftOut) -> list[Shot]:
    """Put photos below the set's folder of photos, each under a name of its own."""
    taken: dict[str, Shot] = {}
    for shot in shots:
        name = f"{PHOTOS}/{shot.name}"
        if name in taken:
            if taken[name].content == shot.content:
                left_out.add("named twice", shot.name)
                continue
            name = next(name for name in number_name(name) if name not in taken)
        taken[name] = replace(shot, name=name)
    return list(taken.values())
