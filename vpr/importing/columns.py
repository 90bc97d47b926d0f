"""Tables: rows by the names of their columns, so that no order is assumed, and their cells."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from vpr.importing.collection import LeftOut

SEPARATORS = ",;\t|"


def read_rows(
    path: Path, needed: Sequence[str] = (), *, left_out: LeftOut | None = None
) -> Iterator[dict[str, str]]:
    """Read the rows of a table with a header; blank lines and blanks around cells are ignored.

    Args:
        path: The table, as programs and spreadsheets write it.
        needed: Columns that it must have; others are there too.
        left_out: Where lines that cannot be read are counted; None: they are errors.

    Raises:
        ValueError: If it is not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            separator = max(SEPARATORS, key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
            missing = [name for name in needed if name not in names]
            if missing:
                raise ValueError(f"{path}: expected a column {missing[0]}, found {names}")
            table = csv.reader(file, delimiter=separator, skipinitialspace=True)
            for cells in table:
                if len(cells) == len(names):
                    yield dict(zip(names, map(str.strip, cells), strict=True))
                elif cells and left_out is None:
                    raise ValueError(
                        f"{path}: line {table.line_num + 1}: expected {len(names)} cells, found "
                        f"{len(cells)}"
                    )
                elif cells and left_out is not None:
                    left_out.add(
                        "lines with too many or too few fields", f"line {table.line_num + 1}"
                    )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not in UTF-8: save it as CSV UTF-8 ({error})") from None
    except (OSError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable table: {error}") from None


def number(value: object) -> float:
    """Read a number, also with a decimal comma; NaN if there is none."""
    text = value.replace(",", ".") if isinstance(value, str) else value
    try:
        found = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
    return found if math.isfinite(found) else math.nan


def read_heading(value: object) -> float | None:
    """Read degrees clockwise from north, in [0, 360); None if there are none."""
    degrees = number(value)
    return degrees % 360 if 0 <= degrees < 720 else None


def read_accuracy(value: object) -> float | None:
    """Read a standard error in metres; None if there is none."""
    metres = number(value)
    return metres if metres > 0 else None


def start_of(text: str) -> float | None:
    """Seconds since 1970 of the start of a day, month or year in UTC, as `2018-06-11`, `201806`.

    None if the digits of the text begin with no such date.
    """
    digits = "".join(letter for letter in text if letter.isdigit())
    for length, form in ((8, "%Y%m%d"), (6, "%Y%m"), (4, "%Y")):
        with suppress(ValueError):
            if len(digits) >= length:
                return datetime.strptime(digits[:length], form).replace(tzinfo=UTC).timestamp()
    return None
