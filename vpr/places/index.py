"""The index of one side of a data set: its images and where they were taken."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = ["index", "path", "easting", "northing"]
NO_PLACES = ["path", "sequence", "heading", "time", "accuracy"]  # columns where none is known
OTHER_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class ImageIndex:
    """Images of one side, in the ground truth's order.

    Args:
        paths: Names as the ground truth has them, relative to the set's folder.
        coordinates: Easting and northing, metres (or frames), shape (num_images, 2). All are NaN if
            positions are unknown.
        sequence: For each image the name of the recording it belongs to, or None.
    """

    paths: list[str]
    coordinates: NDArray[np.float64]
    sequence: list[str] | None = None

    @property
    def has_places(self) -> bool:
        """Whether the images' positions are known: of all or of none."""
        return not np.isnan(self.coordinates).any()


def save_index(path: Path, index: ImageIndex) -> None:
    """Write `index,path[,easting,northing][,sequence]`; coordinates keep every bit.

    Raises:
        ValueError: If a name has a carriage return, which not every Python quotes.
    """
    broken = [name for name in (*index.paths, *(index.sequence or ())) if "\r" in name]
    if broken:
        raise ValueError(
            f"{path}: {broken[0]!r} has a carriage return, which a CSV file cannot hold: rename it"
        )
    columns = [range(len(index.paths)), index.paths, *index.coordinates.T.tolist()]
    num_columns = len(COLUMNS) if index.has_places else len(COLUMNS) - 2
    columns, names = columns[:num_columns], COLUMNS[:num_columns]
    if index.sequence is not None:
        columns, names = [*columns, index.sequence], [*names, "sequence"]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        table.writerows(zip(*columns, strict=True))


def parse_index(path: Path) -> ImageIndex:
    """Read a side of somebody's data set: `path,easting,northing[,sequence]`, in any order.

    Other columns are not used. A table of `NO_PLACES` alone has no positions.

    Raises:
        ValueError: As for `load_index`.
    """
    found, rows = _read_rows(path)
    needed = COLUMNS[1:2] if set(found) <= set(NO_PLACES) else COLUMNS[1:]
    missing = [name for name in needed if found.count(name) != 1]
    other = next((sign for sign in OTHER_SEPARATORS if len(found) == 1 and sign in found[0]), None)
    if other is not None:
        raise ValueError(
            f"{path}: columns are separated by {other!r}: separate them by commas, and write "
            "decimal numbers with a point"
        )
    if missing or found.count("sequence") > 1:
        raise ValueError(
            f"{path}: expected the columns {','.join(COLUMNS[1:])}[,sequence], each once, found "
            f"{','.join(found)}"
        )
    return _to_index(path, _by_column(path, found, rows))


def find_other_columns(path: Path) -> dict[str, list[str]]:
    """Find columns of a user's table that no set has: `parse_index` does not use them.

    Raises:
        ValueError: If the file is not a table.
    """
    found, rows = _read_rows(path)
    columns = _by_column(path, found, rows)
    known = {*COLUMNS[1:], *NO_PLACES}
    return {name: columns[name] for name in found if name not in known}


def load_index(path: Path) -> ImageIndex:
    """Read what `save_index` wrote.

    Raises:
        ValueError: If a column is missing, the rows are not numbered 0..n-1 or a coordinate is
            not a finite number; the message names the file, the row and the value.
    """
    found, rows = _read_rows(path)
    names = [name for name in found if name != "sequence"]
    if names not in (COLUMNS, COLUMNS[:2]) or found[len(names) :] not in ([], ["sequence"]):
        raise ValueError(
            f"{path}: expected the columns {','.join(COLUMNS)}[,sequence], found {','.join(found)}"
        )
    table = _by_column(path, found, rows)
    if table["index"] != [str(number) for number in range(len(table["index"]))]:
        raise ValueError(f"{path}: expected the column index to count 0, 1, 2, ...")
    return _to_index(path, table)


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the names of the columns, and the rows without blank lines."""
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
        columns = [np.full(len(table["path"]), np.nan)] * 2
    return ImageIndex(table["path"], np.column_stack(columns), table.get("sequence"))


def _numbers(path: Path, name: str, column: list[str]) -> NDArray[np.float64]:
    values = np.empty(len(column))
    for row, text in enumerate(column):
        try:
            values[row] = float(text)
        except ValueError:
            values[row] = np.nan
        if not np.isfinite(values[row]):
            raise ValueError(
                f"{path}: row {row}, column {name}: expected a finite number, found {text!r}"
            )
    return values
