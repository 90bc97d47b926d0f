"""Tables in Markdown, to print as they grow and to paste into docs."""

from __future__ import annotations

from collections.abc import Sequence


def head(names: Sequence[str]) -> str:
    """The first two lines of a table."""
    return f"{row(names)}\n{row(['---'] * len(names))}"


def row(cells: Sequence[object], *, form: str = ".2f") -> str:
    """A line of a table; None is an empty cell, and `form` the format of floats."""
    texts = [
        "" if cell is None else f"{cell:{form}}" if isinstance(cell, float) else str(cell)
        for cell in cells
    ]
    return f"| {' | '.join(texts)} |"


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A whole table."""
    return "\n".join([head(names), *map(row, rows)])
