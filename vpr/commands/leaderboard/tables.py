"""A leaderboard as text: for a terminal, as Markdown, CSV and LaTeX."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from vpr.commands.compare.command import align, pipe
from vpr.commands.leaderboard.standings import Entry, Leaderboard, Row


class Cell(NamedTuple):
    """A cell of the table.

    Args:
        text: What it shows.
        value: What the page sorts by; None comes last.
        band: Ends of the interval and the recall, in [0, 1], which the page draws.
        verdict: `better` or `worse`, where the difference is significant.
    """

    text: str = ""
    value: float | None = None
    band: tuple[float, float, float] | None = None
    verdict: str = ""


def as_text(board: Leaderboard) -> str:
    """Aligned lines for a terminal; what differs from the baseline stands below."""
    lines = align(_list_texts(board))
    changes = [f"{row.name}: {', '.join(row.changes)}" for row in board.rows if row.changes]
    return "\n".join([*lines, "", *explain(board), "", *changes]).rstrip()


def as_markdown(board: Leaderboard) -> str:
    """Write a table for a pull request or a README."""
    rows = [[text.replace("|", r"\|") for text in row] for row in _with_changes(board)]
    return "\n".join([*pipe(rows), "", *explain(board)])


def as_latex(board: Leaderboard) -> str:
    """Write a tabular for a paper, with the rules of the package booktabs."""
    heads, *rows = _with_changes(board)
    columns = "l" + "r" * (len(heads) - 1)
    table = pd.DataFrame(rows, columns=heads)
    notes = [f"% {line}" for line in explain(board)]
    return "\n".join([*notes, table.to_latex(index=False, escape=True, column_format=columns)])


def as_csv(board: Leaderboard) -> str:
    """Write one line per run and data set, with numbers in full."""
    records = [_record(board, row, name) for row in board.rows for name in row.entries]
    return str(pd.DataFrame(records, dtype=object).to_csv(index=False)).rstrip("\n")


def list_heads(board: Leaderboard) -> list[str]:
    """List the titles of the columns after the run's name: a group for each data set."""
    heads = []
    for name in board.sets:
        start = f"{name}: " if len(board.sets) > 1 else ""
        titles = [f"recall@{n}" for n in _shown_depths(board)]
        titles += [f"@{board.depth} - {board.baseline}", "p"]
        heads += [start + title for title in titles]
    return [*heads, "bytes", *(["s a query"] if board.num_timed else [])]


def list_cells(board: Leaderboard, row: Row) -> list[Cell]:
    """List the cells of a row below `list_heads`."""
    cells: list[Cell] = []
    for name in board.sets:
        entry = row.entries.get(name)
        cells += [_recall_cell(entry, n) for n in _shown_depths(board)]
        cells += _difference_cells(entry, 1 - board.confidence)
    stored, seconds = row.descriptor_bytes, row.seconds
    cells.append(Cell("" if stored is None else f"{stored:,}", stored))
    timed = Cell("" if seconds is None else f"{seconds:.3f}", seconds)
    return [*cells, *([timed] if board.num_timed else [])]


def explain(board: Leaderboard) -> list[str]:
    """Say how the numbers of a leaderboard were computed."""
    queries = {
        name: len(entry.run.ranks) for row in board.rows for name, entry in row.entries.items()
    }
    sizes = "; ".join(f"{name}: {queries[name]} queries" for name in board.sets)
    return [
        f"{sizes}. Intervals: {board.confidence:.0%}, block bootstrap along the route; of 0 and 1 "
        "Wilson's. Bytes: of a descriptor in float32.",
        f"p: exact McNemar test at recall@{board.depth} against {board.baseline}, adjusted by Holm "
        f"for {board.num_comparisons} comparisons.",
        f"Seconds: from a photo to its answer, mean of {board.num_timed} queries of a row's first "
        "run, on this machine."
        if board.num_timed
        else "Seconds a query are not recorded; `--time 20` measures them.",
        *board.notes,
    ]


def _list_texts(board: Leaderboard) -> list[list[str]]:
    rows = [[row.name, *(cell.text for cell in list_cells(board, row))] for row in board.rows]
    return [["run", *list_heads(board)], *rows]


def _with_changes(board: Leaderboard) -> list[list[str]]:
    changes = ["changes", *(", ".join(row.changes) for row in board.rows)]
    return [[*texts, change] for texts, change in zip(_list_texts(board), changes, strict=True)]


def _list_depths(board: Leaderboard) -> list[int]:
    """List the depths N that any run reports."""
    entries = [entry for row in board.rows for entry in row.entries.values()]
    return sorted({n for entry in entries for n in entry.recalls})


def _shown_depths(board: Leaderboard) -> list[int]:
    return _list_depths(board) if len(board.sets) == 1 else [board.depth]


def _record(board: Leaderboard, row: Row, name: str) -> dict[str, object]:
    entry, paired = row.entries[name], row.entries[name].paired
    record: dict[str, object] = {
        "run": entry.run.name, "set": name, "num_queries": len(entry.run.ranks),
    }  # fmt: skip
    for n in _list_depths(board):
        recall, (low, high) = entry.recalls.get(n, (None, (None, None)))
        record |= {f"recall@{n}": recall, f"recall@{n}_low": low, f"recall@{n}_high": high}
    low, high = paired.interval if paired else (None, None)
    is_first = name == next(iter(row.entries))
    return record | {
        "difference": paired and paired.difference, "difference_low": low, "difference_high": high,
        "p_mcnemar": paired and paired.p_value, "p_holm": entry.p_value,
        "descriptor_bytes": row.descriptor_bytes,
        "seconds_per_query": row.seconds if is_first else None,
        "changes": "; ".join(row.changes),
    }  # fmt: skip


def _recall_cell(entry: Entry | None, n: int) -> Cell:
    if entry is None or n not in entry.recalls:
        return Cell()
    recall, (low, high) = entry.recalls[n]
    return Cell(f"{recall:.3f} ({low:.3f}-{high:.3f})", recall, (low, high, recall))


def _difference_cells(entry: Entry | None, level: float) -> list[Cell]:
    if entry is None or entry.paired is None or entry.p_value is None:
        return [Cell(), Cell()]
    change, (low, high) = entry.paired.difference, entry.paired.interval
    verdict = ("better" if change > 0 else "worse") if entry.p_value < level else ""
    p_value = f"{entry.p_value:.3f}" if entry.p_value >= 0.001 else "< 0.001"
    return [
        Cell(f"{change:+.3f} ({low:+.3f} to {high:+.3f})", change, verdict=verdict),
        Cell(p_value, entry.p_value),
    ]
