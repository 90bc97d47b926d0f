"""Data sets as two tables: `database.csv` and `query.csv`."""

from __future__ import annotations

from pathlib import Path

from vpr.datasets.form import Form
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.index import find_other_columns, parse_index

TABLES = ("database.csv", "query.csv")


def parse_tables(path: Path) -> GroundTruth:
    """Read `path,easting,northing[,sequence]` of each side; the form has no radius.

    Args:
        path: The database's table; that of the queries lies beside it.

    Returns:
        Both sides, and a note on columns that are not used.

    Raises:
        ValueError: If a table lacks a column or has a value that does not fit it.
        FileNotFoundError: If one of them is missing.
    """
    tables = path, path.with_name(TABLES[1])
    database, query = map(parse_index, tables)
    others = {table.name: find_other_columns(table) for table in tables}
    notes = [f"{name}: {', '.join(found)} not used" for name, found in others.items() if found]
    return GroundTruth(database, query, None, "CSV", notes=tuple(notes))


def _find(folder: Path) -> list[Path]:
    return [folder / TABLES[0]] if (folder / TABLES[0]).is_file() else []


CSV_TABLES = Form(
    f"{' and '.join(TABLES)} with path,easting,northing[,sequence]", _find, parse_tables,
    is_one_file=False,
)  # fmt: skip
