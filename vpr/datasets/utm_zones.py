"""The UTM zones that `@easting@northing@zone@letter@latitude@longitude@` names tell, checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vpr.places.crs import to_degrees, utm_crs

NUM_ZONES = 60
BANDS = "CDEFGHJKLMNPQRSTUVWX"  # of latitude, from the south; N is the first north of the equator
SOUTHERNMOST, BAND_DEG, LAST_BAND_DEG = -80, 8, 12
MARGIN_DEG = 0.5  # a drive may cross the border of a band
NEAR_DEG = 0.02  # 2 km: datums differ by less
APART_M = 1e5  # zones farther apart in the plane are never compared
APART_DEG = 1.0  # and on the ground are not neighbours

Places = NDArray[np.float64]


def read_zones(
    root: Path, names: Sequence[str], places: Places
) -> tuple[tuple[str, ...], str | None]:
    """Find the UTM zones that names tell, as 33N, and what in the names contradicts their places.

    Args:
        root: The data set's folder, for messages.
        names: Paths of all images.
        places: Eastings and northings, shape (num_images, 2).

    Returns:
        The zones, none if the names contradict the places; and a note, or None.

    Raises:
        ValueError: If names are in several zones whose metres could be taken for near each other.
    """
    fields = [(*PurePosixPath(name).name.split("@")[3:7], *[""] * 4)[:4] for name in names]
    rows: dict[str, list[int]] = {}
    unread: list[int] = []
    for row, (number, letter, _, _) in enumerate(fields):
        zone = _zone(number, letter)
        if zone is not None:
            rows.setdefault(zone, []).append(row)
        elif number or letter:
            unread.append(row)
    several = _describe_several(root, rows, names, places) if len(rows) > 1 else None
    doubts = [
        row for zone, those in rows.items() for row in _contradict(zone, those, fields, places)
    ]
    if {fields[row][1].upper() for row in doubts} >= {"N", "S"}:
        north, south = (
            next(names[row] for row in doubts if fields[row][1].upper() == one) for one in "NS"
        )
        raise ValueError(
            f"{root}: the letters N and S contradict the northings as bands of latitude, and as "
            f"hemispheres they are two systems whose metres cannot be compared ({north!r}, "
            f"{south!r}): convert all to one zone with pyproj, or make one set for each"
        )
    if doubts or unread:
        first = (doubts or unread)[0]
        words = "contradict their easting and northing" if doubts else "are not a UTM zone"
        count = len(doubts or unread)
        return (), (
            f"zone, letter, latitude or longitude of {count} of {len(names)} names {words} (first "
            f"{names[first]!r}), so no zone is taken from the names: is dataset.crs right?"
        )
    return tuple(sorted(rows)), several


def _zone(number: str, letter: str) -> str | None:
    """Read number and hemisphere; None if the fields hold neither."""
    if not (number.isdecimal() and 1 <= int(number) <= NUM_ZONES and len(letter) == 1):
        return None
    band = BANDS.find(letter.upper())
    return None if band < 0 else f"{int(number)}{'N' if band >= BANDS.index('N') else 'S'}"


def _contradict(
    zone: str, rows: Sequence[int], fields: Sequence[tuple[str, ...]], places: Places
) -> Iterator[int]:
    """Yield rows whose letter, latitude or longitude is not that of easting and northing."""
    for row, (latitude, longitude) in zip(
        rows, to_degrees(utm_crs(zone), places[np.array(rows)]), strict=True
    ):
        _, letter, *told = fields[row]
        south = SOUTHERNMOST + BAND_DEG * BANDS.index(letter.upper())
        height = LAST_BAND_DEG if letter.upper() == BANDS[-1] else BAND_DEG
        in_band = south - MARGIN_DEG <= latitude <= south + height + MARGIN_DEG
        degrees = [_number(text) for text in told]
        away = [abs(degrees[0] - latitude), abs(degrees[1] - longitude) % 360]
        is_near = max(away[0], min(away[1], 360 - away[1])) <= NEAR_DEG
        if not in_band or not (is_near or any(map(math.isnan, degrees))):
            yield row


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _describe_several(
    root: Path, rows: Mapping[str, Sequence[int]], names: Sequence[str], places: Places
) -> str:
    """Say that zones lie far apart, in the plane and on the ground.

    Raises:
        ValueError: If two of them do not.
    """
    told = "; ".join(f"{zone}: {names[those[0]]}" for zone, those in sorted(rows.items()))
    for one, other in combinations(rows, 2):
        plane = [places[np.array(rows[zone])] for zone in (one, other)]
        ground = [
            to_degrees(utm_crs(zone), at) for zone, at in zip((one, other), plane, strict=True)
        ]
        if _gap(*plane) < APART_M or _gap(*ground) < APART_DEG:
            raise ValueError(
                f"{root}: the names are in {len(rows)} UTM zones ({told}): metres of different "
                "zones cannot be compared: convert all to one zone with pyproj, or make one set "
                "for each"
            )
    return (
        f"names are in {len(rows)} UTM zones ({told}), too far apart for an image of one to be a "
        "positive of another, so distances within each count; there is no map"
    )


def _gap(one: Places, other: Places) -> float:
    """Measure the gap between the boxes around places, along the axis where it is larger."""
    gaps = np.maximum(one.min(axis=0) - other.max(axis=0), other.min(axis=0) - one.max(axis=0))
    return float(gaps.max())
