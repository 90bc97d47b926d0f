"""Data sets as tables: two CSV files, or an .npz of positions with two lists of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vpr.datasets.ground_truth import GroundTruth, as_coordinates, as_number
from vpr.places.index import (
    ImageIndex,
    find_other_columns,
    list_columns,
    parse_index,
    write_columns,
)
from vpr.runtime.npz import load_arrays

TABLES = ("database.csv", "query.csv")
PARTS = ("utmDb", "utmQ", "posDistThr")
LISTS = ("*index.txt", "*query.txt")  # database and queries, one name a line


def parse_tables(path: Path) -> GroundTruth:
    """Read `path,easting,northing[,sequence][,heading]` of each side; the form has no radius.

    Args:
        path: The database's table; the queries' table is in the same folder.

    Returns:
        Both sides, and a note on columns that are not used.

    Raises:
        ValueError: If a table lacks a column or has a value that does not fit it.
        FileNotFoundError: If one of them is missing.
    """
    tables = path, path.with_name(TABLES[1])
    database, query = map(parse_index, tables)
    notes = [f"{table.name}: {note}" for table in tables for note in _describe_others(table)]
    return GroundTruth(database, query, None, "CSV", notes=tuple(notes))


def save_table(path: Path, index: ImageIndex) -> None:
    """Write one side as `parse_tables` reads it; coordinates keep every bit."""
    write_columns(path, list_columns(index))


def _describe_others(table: Path) -> list[str]:
    """Say which columns are not used, and that rows are not sorted by a column index."""
    others = find_other_columns(table)
    numbers = others.pop("index", [])
    notes = [f"{', '.join(others)} not used"] if others else []
    if numbers != [str(row) for row in range(len(numbers))]:
        notes.append(
            "the column index does not count 0, 1, 2, ...: it is not used, and rows keep the order "
            "of the file, which counts as the order of the route"
        )
    return notes


def parse_name_lists(path: Path) -> GroundTruth:
    """Read `utmDb`, `utmQ` and `posDistThr` of an .npz, and the lists of names beside it.

    Args:
        path: The .npz file. Its folder holds one `*index.txt` and one `*query.txt`.

    Returns:
        Both sides and the radius.

    Raises:
        ValueError: If a part is missing or the parts disagree.
    """
    *places, radius_m = load_arrays(path, PARTS, what="positions beside lists of names")
    database, query = (
        _side(path, place, pattern, key)
        for place, pattern, key in zip(places, LISTS, PARTS[:2], strict=True)
    )
    radius = as_number(radius_m, f"{path}: {PARTS[2]}")
    return GroundTruth(database, query, radius, "npz with lists of names")


def _side(path: Path, places: NDArray[Any], pattern: str, key: str) -> ImageIndex:
    found = find_files(path.parent, pattern)
    if len(found) != 1:
        raise ValueError(
            f"{path.parent}: expected one list of names {pattern} beside {path.name}, found "
            f"{', '.join(file.name for file in found) or 'none'}"
        )
    try:
        names = [line.rstrip() for line in found[0].read_text("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{found[0]}: not UTF-8 text: {error}") from None
    names = [name for name in names if name]
    part = f"{path}: {key}, beside {found[0].name}"
    return ImageIndex(names, as_coordinates(places, len(names), part))


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Find files of a folder by a pattern, sorted, without the hidden ones that systems add.

    Args:
        folder: The data set's folder.
        pattern: Pattern such as `*.mat`.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
