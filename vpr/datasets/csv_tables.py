"""Data sets as two tables: `database.csv` and `query.csv`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vpr.datasets.ground_truth import GroundTruth
from vpr.places.index import ImageIndex, find_other_columns, list_columns, parse_index

TABLES = ("database.csv", "query.csv")
COMPASS = ("magnetic", "compass", "bearing", "azimuth", "yaw", "grid")  # in names of columns


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
    pd.DataFrame(list_columns(index)).to_csv(path, index=False)


def _describe_others(table: Path) -> list[str]:
    """Say which columns are not used, and that rows are not sorted by a column index."""
    others = find_other_columns(table)
    numbers = others.pop("index", [])
    notes = [f"{', '.join(others)} not used"] if others else []
    compass = [name for name in others if any(word in name.lower() for word in COMPASS)]
    if compass:
        notes.append(
            f"{compass[0]} is not taken for a heading: the column heading counts degrees clockwise "
            "from true north, which neither a compass nor a map's grid does"
        )
    if numbers != [str(row) for row in range(len(numbers))]:
        notes.append(
            "the column index does not count 0, 1, 2, ...: it is not used, and rows keep the order "
            "of the file, which counts as the order of the route"
        )
    return notes
