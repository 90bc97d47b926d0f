"""The index of one side of a data set: its images, where they were taken, and its recordings."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = ["index", "path", "easting", "northing"]
OPTIONAL = ["sequence", "heading", "odometry"]
NO_PLACES = ["path", *OPTIONAL, "time", "speed", "accuracy"]  # columns where no position is known
FORM = f"{','.join(COLUMNS[1:])}{''.join(f'[,{name}]' for name in OPTIONAL)}"
FULL_CIRCLE_DEG = 360

Recording = NDArray[np.int64]  # indices of its images, ascending, in the order of the route


@dataclass(frozen=True)
class ImageIndex:
    """Images of one side, in the ground truth's order.

    Args:
        paths: Names as the ground truth has them, relative to the set's folder.
        coordinates: Easting and northing, metres (or frames), shape (num_images, 2). All are NaN if
            positions are unknown.
        sequence: For each image the name of the recording it belongs to, or None.
        heading: Where each image looks, degrees clockwise from true north in [0, 360), NaN where
            unknown; None: of none it is known.
        odometry: Metres travelled since the recording began, or any other zero; None: unknown.
    """

    paths: list[str]
    coordinates: NDArray[np.float64]
    sequence: list[str] | None = None
    heading: NDArray[np.float64] | None = None
    odometry: NDArray[np.float64] | None = None

    @property
    def has_places(self) -> bool:
        """Whether the images' positions are known: of all or of none."""
        return not np.isnan(self.coordinates).any()


def save_index(path: Path, index: ImageIndex) -> None:
    """Write `index,path[,easting,northing]` and what of `OPTIONAL` is known; numbers keep all bits.

    Raises:
        ValueError: If a name has a carriage return, which not every Python quotes.
    """
    broken = [name for name in (*index.paths, *(index.sequence or ())) if "\r" in name]
    if broken:
        raise ValueError(
            f"{path}: {broken[0]!r} has a carriage return, which a CSV file cannot hold: rename it"
        )
    write_columns(path, {"index": list(range(len(index.paths)))} | list_columns(index))


def write_columns(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write columns as a CSV table; numbers keep all bits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))


def list_columns(index: ImageIndex) -> dict[str, list[Any]]:
    """List the columns of a table of images by name; an unknown heading is empty."""
    columns: dict[str, list[Any]] = {"path": index.paths}
    if index.has_places:
        columns |= zip(("easting", "northing"), index.coordinates.T.tolist(), strict=True)
    if index.sequence is not None:
        columns["sequence"] = index.sequence
    if index.heading is not None:
        columns["heading"] = ["" if math.isnan(deg) else deg for deg in index.heading.tolist()]
    if index.odometry is not None:
        columns["odometry"] = index.odometry.tolist()
    return columns


def parse_index(path: Path) -> ImageIndex:
    """Read a side of somebody's data set: `path,easting,northing[,sequence][,heading][,odometry]`.

    Columns may have any order; others are not used. A table of `NO_PLACES` alone has no positions.
    Without odometry, `time` (seconds, or as ISO 8601) and `speed` (metres per second) give it, if
    both are there.

    Raises:
        ValueError: As for `load_index`.
    """
    found, rows = read_rows(path)
    needed = COLUMNS[1:2] if set(found) <= set(NO_PLACES) else COLUMNS[1:]
    missing = [name for name in needed if found.count(name) != 1]
    if missing or any(found.count(name) > 1 for name in OPTIONAL):
        raise ValueError(f"{path}: expected the columns {FORM}, each once, found {','.join(found)}")
    table = _by_column(path, found, rows)
    index = _to_index(path, table)
    if index.odometry is not None or not {"time", "speed"} <= set(found):
        return index
    return replace(index, odometry=_integrate_speed(path, table))


def _integrate_speed(path: Path, table: dict[str, list[str]]) -> NDArray[np.float64]:
    """Metres travelled in each recording, by the trapezoidal rule; from shape (num_images,)."""
    times = [_seconds(time) for time in table["time"]]
    seconds = np.array(_numbers(path, "time", times))
    speed = np.array(_numbers(path, "speed", table["speed"]))
    metres = np.zeros(len(seconds))
    for images in find_recordings(table.get("sequence"), len(seconds)):
        passed = np.diff(seconds[images])
        if (passed < 0).any():
            row = images[1:][passed < 0][0]
            raise ValueError(
                f"{path}: row {row}, column time: expected seconds that do not decrease in a "
                f"recording, found {table['time'][row]} after a later one"
            )
        both = speed[images][1:] + speed[images][:-1]
        metres[images[1:]] = np.cumsum(passed * both / 2)
    return metres


def _seconds(time: str) -> str:
    """Seconds of a time of ISO 8601, in UTC if it names no zone; other texts stay as they are."""
    if time.isdecimal():  # 20241129 is a number here
        return time
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def find_other_columns(path: Path) -> dict[str, list[str]]:
    """Find columns of a user's table that no set has: `parse_index` does not use them.

    Raises:
        ValueError: If the file is not a table.
    """
    found, rows = read_rows(path)
    columns = _by_column(path, found, rows)
    known = {*COLUMNS[1:], *NO_PLACES}
    return {name: columns[name] for name in found if name not in known}


def load_index(path: Path) -> ImageIndex:
    """Read what `save_index` wrote.

    Raises:
        ValueError: If a column is missing, the rows are not numbered 0..n-1 or a coordinate is
            not a finite number; the message names the file, the row and the value.
    """
    found, rows = read_rows(path)
    needed = COLUMNS if COLUMNS[-1] in found else COLUMNS[:2]
    if found != needed + [name for name in OPTIONAL if name in found]:
        raise ValueError(f"{path}: expected the columns index,{FORM}, found {','.join(found)}")
    table = _by_column(path, found, rows)
    if table["index"] != [str(number) for number in range(len(table["index"]))]:
        raise ValueError(f"{path}: expected the column index to count 0, 1, 2, ...")
    return _to_index(path, table)


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the names of a table's columns, and its rows without blank lines.

    Raises:
        ValueError: If the file is not a table in UTF-8.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found, *rows = csv.reader(file, strict=True)
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable CSV file in UTF-8: {error}") from None
    return found, [row for row in rows if row]


def _by_column(path: Path, found: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    for number, row in enumerate(rows):
        if len(row) != len(found):
            raise ValueError(f"{path}: row {number}: expected {len(found)} fields, found {row}")
    return {name: [row[place] for row in rows] for place, name in enumerate(found)}


def _to_index(path: Path, table: dict[str, list[str]]) -> ImageIndex:
    if COLUMNS[-1] in table:
        columns = [_numbers(path, name, table[name]) for name in COLUMNS[2:]]
    else:
        columns = [[math.nan] * len(table["path"])] * 2
    heading = _headings(path, table["heading"]) if "heading" in table else None
    odometry = (
        np.array(_numbers(path, "odometry", table["odometry"])) if "odometry" in table else None
    )
    return ImageIndex(
        table["path"], np.column_stack(columns), table.get("sequence"), heading, odometry
    )


def _headings(path: Path, column: list[str]) -> NDArray[np.float64]:
    known = [row for row, text in enumerate(column) if text.strip()]
    headings = np.full(len(column), np.nan)
    headings[known] = _numbers(path, "heading", column, rows=known)
    wrong = np.flatnonzero(np.abs(headings) > FULL_CIRCLE_DEG)
    if len(wrong):
        raise ValueError(
            f"{path}: row {wrong[0]}, column heading: expected degrees from true north, 0 to 360, "
            f"or nothing, found {column[wrong[0]]!r}"
        )
    return headings % FULL_CIRCLE_DEG


def _numbers(
    path: Path, name: str, column: list[str], *, rows: Sequence[int] | None = None
) -> list[float]:
    """Read the numbers of a column, or of some of its rows."""
    values = []
    for row in range(len(column)) if rows is None else rows:
        try:
            value = float(column[row])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"{path}: row {row}, column {name}: expected a finite number, found {column[row]!r}"
            )
        values.append(value)
    return values


def find_recordings(sequence: Sequence[str] | None, num_images: int) -> list[Recording]:
    """Group images by the name of their recording, in the order of the index.

    Rows of one recording need not be neighbours: two cameras may alternate.

    Args:
        sequence: Name of each image's recording; None: all belong to one.
        num_images: Number of images.

    Returns:
        The recordings by their first image; every image is in exactly one.
    """
    images: dict[str, list[int]] = {}
    for image, name in enumerate(sequence or [""] * num_images):
        images.setdefault(name, []).append(image)
    return [np.array(those, dtype=np.int64) for those in images.values()]


def places_on_route(recordings: Sequence[Recording], *, apart: int) -> NDArray[np.int64]:
    """Number images along their recordings, one recording after another.

    Args:
        recordings: They hold every image once.
        apart: Numbers left out between recordings, so that images no farther apart than this are
            of one recording.

    Returns:
        Shape (num_images,); counts 0, 1, 2, ... where there is one recording.
    """
    places = np.empty(sum(map(len, recordings)), dtype=np.int64)
    start = 0
    for images in recordings:
        places[images] = start + np.arange(len(images))
        start += len(images) + apart
    return places
