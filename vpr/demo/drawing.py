"""The demo's images and index: two drives along one street."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpr.console.progress import track
from vpr.demo.drives import MARGIN_M, Shot, drive_by_day, drive_months_later, position
from vpr.demo.painting import paint
from vpr.demo.street import Street, build_street
from vpr.places.index import ImageIndex

ORIGIN_M = (389_000.0, 5_818_000.0)  # somewhere in UTM 33N
STREET, DATABASE, QUERY = range(3)  # separate random streams: the drives share only the scene


def draw_set(
    folder: Path,
    *,
    num_database: int,
    num_query: int,
    num_off_map: int,
    length_m: float,
    size_px: tuple[int, int],
    difficulty: float,
    seed: int,
) -> tuple[ImageIndex, ImageIndex]:
    """Draw both drives as JPEG files below `database/` and `queries/`.

    `num_off_map` of the queries lie off the map: the database has no photo of what they show.
    `size_px` is a photo's width and height; `difficulty`, 0 to 1, is how much the second drive,
    months later, differs.

    Returns:
        Indices of the database and of the queries, coordinates in metres.
    """
    street = build_street(length_m + 2 * MARGIN_M, np.random.default_rng([seed, STREET]))
    by_day = np.random.default_rng([seed, DATABASE])
    later = np.random.default_rng([seed, QUERY])
    shots = drive_by_day(num_database, length_m, by_day)
    database = _take(folder, "database", street, shots, size_px, by_day)
    shots = drive_months_later(
        num_query, length_m, num_off_map=num_off_map, difficulty=difficulty, rng=later
    )
    return database, _take(folder, "queries", street, shots, size_px, later)


def _take(
    folder: Path,
    side: str,
    street: Street,
    shots: list[Shot],
    size_px: tuple[int, int],
    rng: np.random.Generator,
) -> ImageIndex:
    (folder / side).mkdir(parents=True)
    names = [f"{side}/{number:04d}.jpg" for number in range(len(shots))]
    for name, shot in track(zip(names, shots, strict=True), total=len(shots), title=f"draw {side}"):
        paint(street, shot, size_px, rng).save(folder / name, quality=88)
    places = np.stack([position(street.road, shot) for shot in shots]) + ORIGIN_M
    return ImageIndex(names, places.round(3))
