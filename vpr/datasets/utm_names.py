"""Data sets whose positions are in the file names: `@easting@northing@...@.jpg`.

This is the form of the VPR datasets downloader and of the benchmark of Berton et al. (Deep Visual
Geo-localization Benchmark, CVPR 2022): two folders, `database` and `queries`, whose images are
taken in the order of their paths, compared as texts.
"""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.ground_truth import GroundTruth
from vpr.images.file_kinds import READ_SUFFIXES, UNREAD_SUFFIXES, describe_left_out, is_junk
from vpr.places.crs import to_degrees, utm_crs
from vpr.places.index import FULL_CIRCLE_DEG, ImageIndex

SIDES = ("database", "queries")
NUM_FIELDS = 14  # easting, northing, zone, letter, latitude, longitude, panorama, ..., note
HEADING = 9  # field of the heading, degrees clockwise from true north
NUM_ZONES = 60
BANDS = "CDEFGHJKLMNPQRSTUVWX"  # of latitude, from the south; N is the first north of the equator
SOUTHERNMOST, BAND_DEG, LAST_BAND_DEG = -80, 8, 12
MARGIN_DEG = 0.5  # a drive may cross the border of a band
APART_M = 1e5  # zones farther apart in the plane are never compared
APART_DEG = 1.0  # and on the ground are not neighbours


def parse_utm_names(path: Path) -> GroundTruth:
    """List the images of both sides.

    Args:
        path: The database's folder; `queries` lies beside it. Subfolders are looked into.

    Returns:
        The images by their paths below the set's folder, sorted as texts, a note on other files,
        and the UTM zones that the names have and that fit their coordinates. Images in formats
        that are not supported are listed too, so that a stage stops and names them.

    Raises:
        ValueError: If a side has no images, a name has no easting and northing, or names are in
            several UTM zones whose metres could be taken for near each other.
    """
    root = path.parent
    (database, first_note), (query, other_note) = (_read_side(root, side) for side in SIDES)
    zones, zone_note = _read_zones(
        root, [*database.paths, *query.paths],
        np.concatenate([database.coordinates, query.coordinates]),
    )  # fmt: skip
    notes = (first_note, other_note, zone_note)
    return GroundTruth(
        database, query, None, "@easting@northing@ names",
        notes=tuple(note for note in notes if note), utm_zones=zones,
    )  # fmt: skip


def write_numbers(values: NDArray[np.float64]) -> list[str]:
    """Write numbers such that they sort as texts as they do as numbers, but for negative ones.

    Args:
        values: Every digit of them is kept.
    """
    texts = [f"{Decimal(repr(float(value))):f}" for value in values]
    parts = [text.lstrip("-").partition(".")[::2] for text in texts]
    whole, fraction = (max(len(part[half]) for part in parts) for half in (0, 1))
    return [
        f"{'-' * text.startswith('-')}{before.rjust(whole, '0')}.{after.ljust(fraction, '0')}"
        for text, (before, after) in zip(texts, parts, strict=True)
    ]


def utm_name(easting: str, northing: str, *, heading: float, note: str, suffix: str) -> str:
    """Name an image after where it was taken.

    Args:
        easting: Easting in metres, as `write_numbers` writes it.
        northing: Likewise.
        heading: Degrees from true north; NaN: unknown.
        note: Text that makes the name unique, as its last field; an @ in it becomes a dash.
        suffix: `.jpg` or another.
    """
    fields = [easting, northing, *[""] * (NUM_FIELDS - 3)]
    fields[HEADING - 1] = "" if math.isnan(heading) else f"{heading:g}"
    return f"@{'@'.join(fields)}@{note.replace('@', '-')}@{suffix}"


def _read_side(root: Path, side: str) -> tuple[ImageIndex, str | None]:
    """Read the images by their paths below the set's folder, and a note on other files."""
    folder = root / side
    files = (path.relative_to(root) for path in folder.rglob("*") if not path.is_dir())
    names = [file for file in files if not is_junk(file)]
    images = sorted(file.as_posix() for file in names if _is_image(file))
    if not images:
        raise ValueError(f"{folder}: expected images named @easting@northing@...@.jpg")
    others = [file for file in names if not _is_image(file)]
    notes = [f"{folder}: left out {describe_left_out(others)}"] if others else []
    heading = np.array([_heading(name) for name in images])
    unread = [name for name, deg in zip(images, heading, strict=True) if math.isinf(deg)]
    if unread:
        words = f"{len(unread)} names is not a heading (first {unread[0]!r})"
        notes.append(f"field {HEADING} of {words}")
    heading[np.isinf(heading)] = np.nan
    places = np.array([_place(root / name) for name in images])
    known = None if np.isnan(heading).all() else heading
    return ImageIndex(images, places, heading=known), "; ".join(notes) or None


def _is_image(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in READ_SUFFIXES or (suffix in UNREAD_SUFFIXES and file.name.startswith("@"))


def _place(file: Path) -> tuple[float, float]:
    try:
        easting, northing = (float(field) for field in file.name.split("@")[1:3])
    except ValueError:
        easting = northing = math.nan
    if not (math.isfinite(easting) and math.isfinite(northing)):
        raise ValueError(
            f"{file}: expected a name @easting@northing@...@{file.suffix} with metres as numbers"
        )
    return easting, northing


def _heading(name: str) -> float:
    """Read the heading of a name: NaN if it has none, infinite if it is not a number of degrees."""
    field = ([*PurePosixPath(name).name.split("@"), *[""] * HEADING])[HEADING].strip()
    try:
        heading = float(field or "nan")
    except ValueError:
        return math.inf
    return math.inf if abs(heading) > FULL_CIRCLE_DEG else heading % FULL_CIRCLE_DEG


def _read_zones(
    root: Path, names: list[str], places: NDArray[np.float64]
) -> tuple[tuple[str, ...], str | None]:
    """Read the UTM zones in the names, as 33N; none and a note if they contradict the coordinates.

    Raises:
        ValueError: If names are in several zones whose metres could be taken for near each other.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for row, name in enumerate(names):
        number, letter = [*PurePosixPath(name).name.split("@")[3:5], "", ""][:2]
        if number or letter:
            rows.setdefault((number, letter.upper()), []).append(row)
    zones = {fields: _zone(*fields) for fields in rows}
    members: dict[str, list[int]] = {}
    for fields, zone in zones.items():
        if zone is not None:
            members.setdefault(zone, []).extend(rows[fields])
    note = None
    if len(members) > 1:
        told = "; ".join(f"{zone}: {names[min(members[zone])]}" for zone in sorted(members))
        if not _are_apart({zone: places[np.array(those)] for zone, those in members.items()}):
            raise ValueError(
                f"{root}: the names are in {len(members)} UTM zones ({told}), whose metres cannot "
                "be compared: `python -m vpr import` makes one set of them, or a set for each"
            )
        note = (
            f"the names are in {len(members)} UTM zones ({told}), too far apart for an image of "
            "one to be a positive of another: distances within each count, and there is no map"
        )
    for (number, letter), those in rows.items():
        zone = zones[number, letter]
        if zone is None or not _in_band(letter, zone, places[np.array(those)]):
            return (), (
                f"zone {number} and letter {letter} do not fit easting and northing (first "
                f"{names[those[0]]!r}), so no zone is taken from the names: is dataset.crs right?"
            )
    return tuple(sorted(members)), note


def _are_apart(places: dict[str, NDArray[np.float64]]) -> bool:
    """Return whether places of no two zones are near in the plane or on the ground."""
    ground = {zone: to_degrees(utm_crs(zone), there) for zone, there in places.items()}
    return all(
        _gap(places[zone], places[other]) >= APART_M
        and _gap(ground[zone], ground[other]) >= APART_DEG
        for zone, other in combinations(places, 2)
    )


def _gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Measure the gap between the boxes around places, along the axis where it is larger."""
    gaps = np.maximum(one.min(axis=0) - other.max(axis=0), other.min(axis=0) - one.max(axis=0))
    return float(gaps.max())


def _zone(number: str, letter: str) -> str | None:
    """Read number and hemisphere; None if the fields hold neither."""
    if not (number.isdecimal() and 1 <= int(number) <= NUM_ZONES and len(letter) == 1):
        return None
    band = BANDS.find(letter)
    return None if band < 0 else f"{int(number)}{'N' if band >= BANDS.index('N') else 'S'}"


def _in_band(letter: str, zone: str, places: NDArray[np.float64]) -> bool:
    """Return whether all places of a zone lie in the band of latitude that a letter names."""
    south = SOUTHERNMOST + BAND_DEG * BANDS.index(letter)
    height = LAST_BAND_DEG if letter == BANDS[-1] else BAND_DEG
    latitudes = to_degrees(utm_crs(zone), places)[:, 0]
    return bool(
        (south - MARGIN_DEG <= latitudes.min()) and (latitudes.max() <= south + height + MARGIN_DEG)
    )


def find_utm_names(folder: Path) -> list[Path]:
    """Find the folder `database`, if it has images named by their places."""
    database = folder / SIDES[0]
    if not database.is_dir():
        return []
    named = (path.relative_to(folder) for path in database.rglob("@*"))
    return [database] if any(not is_junk(name) for name in named) else []
