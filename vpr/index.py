"""The index of one side of a data set: its images and where they were taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS = ["index", "path", "easting", "northing"]


@dataclass(frozen=True)
class ImageIndex:
    """Images of one side, in the ground truth's order.

    Args:
        paths: Names as the ground truth has them, relative to the set's folder.
        coordinates: Easting and northing, metres (or frames), shape (num_images, 2).
        sequence: For each image the name of the recording it belongs to, or None.
    """

    paths: list[str]
    coordinates: NDArray[np.float64]
    sequence: list[str] | None = None


def save_index(path: Path, index: ImageIndex) -> None:
    """Write `index,path,easting,northing[,sequence]`; coordinates keep every bit."""
    table = pd.DataFrame(
        {
            "index": np.arange(len(index.paths)),
            "path": index.paths,
            "easting": index.coordinates[:, 0],
            "northing": index.coordinates[:, 1],
        }
    )
    if index.sequence is not None:
        table["sequence"] = index.sequence
    table.to_csv(path, index=False)


def parse_index(path: Path) -> ImageIndex:
    """Read a side of somebody's data set: `path,easting,northing[,sequence]`.

    Raises:
        ValueError: As for `load_index`.
    """
    return _to_index(path, _read_table(path, COLUMNS[1:]))


def load_index(path: Path) -> ImageIndex:
    """Read what `save_index` wrote.

    Raises:
        ValueError: If a column is missing, the rows are not numbered 0..n-1 or a coordinate is
            not a finite number; the message names the file, the row and the value.
    """
    table = _read_table(path, COLUMNS)
    if list(table["index"]) != [str(number) for number in range(len(table))]:
        raise ValueError(f"{path}: expected the column index to count 0, 1, 2, ...")
    return _to_index(path, table)


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable CSV file in UTF-8: {error}") from None
    if list(table.columns) not in (columns, [*columns, "sequence"]):
        raise ValueError(
            f"{path}: expected the columns {','.join(columns)}[,sequence], "
            f"found {','.join(map(str, table.columns))}"
        )
    return table


def _to_index(path: Path, table: pd.DataFrame) -> ImageIndex:
    columns = [_numbers(path, table[name]) for name in ("easting", "northing")]
    sequence = list(table["sequence"]) if "sequence" in table else None
    return ImageIndex(list(table["path"]), np.column_stack(columns), sequence)


def _numbers(path: Path, column: pd.Series[str]) -> NDArray[np.float64]:
    values = np.empty(len(column))
    for row, text in enumerate(column):
        try:
            values[row] = float(text)
        except ValueError:
            values[row] = np.nan
        if not np.isfinite(values[row]):
            raise ValueError(
                f"{path}: row {row}, column {column.name}: expected a finite number, found {text!r}"
            )
    return values
