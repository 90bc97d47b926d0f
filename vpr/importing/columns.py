"""Tables of published sets: rows by the names of their columns, so that no order is assumed."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path


def read_rows(
    path: Path, needed: Sequence[str], *, delimiter: str = ","
) -> Iterator[dict[str, str]]:
    """Read the rows of a table with a header.

    Args:
        path: The table; a byte order mark and blanks around cells do not count.
        needed: Columns that it must have; others are there too.
        delimiter: What separates cells.

    Raises:
        ValueError: If it is not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            names = [name.strip() for name in next(table, [])]
            missing = [name for name in needed if name not in names]
            if missing:
                raise ValueError(f"{path}: expected a column {missing[0]}, found {names}")
            for number, row in enumerate(table, start=2):
                if len(row) not in (0, len(names)):
                    raise ValueError(
                        f"{path}: line {number}: expected {len(names)} cells, found {len(row)}"
                    )
                if row:
                    yield dict(zip(names, map(str.strip, row), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable table: {error}") from None


def number(text: str) -> float:
    """Read a number; NaN if there is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def start_of(year: str, month: str = "1", day: str = "1") -> float | None:
    """Seconds since 1970 of the start of a day in UTC; None if there is no such day."""
    try:
        date = (int(float(part)) for part in (year, month, day))
        return datetime(next(date), next(date), next(date), tzinfo=UTC).timestamp()
    except ValueError:
        return None
