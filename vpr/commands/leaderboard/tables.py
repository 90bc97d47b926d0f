"""A leaderboard as text: for a terminal, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re

from vpr.commands.compare.tables import align, pipe
from vpr.commands.leaderboard.standings import Entry, Leaderboard, Row

SECONDS = "s a query"
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def as_text(board: Leaderboard) -> str:
    """Aligned lines for a terminal; what differs from the baseline stands below."""
    lines = align([row[:-1] for row in list_cells(board)])
    changes = [f"{row.name}: {', '.join(row.changes)}" for row in board.rows if row.changes]
    return "\n".join([*lines, "", *explain(board), "", *changes]).rstrip()


def as_markdown(board: Leaderboard) -> str:
    """Write a table for a pull request or a README."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in list_cells(board)]
    return "\n".join([*pipe(cells), "", *explain(board)])


def as_latex(board: Leaderboard) -> str:
    """Write a tabular for a paper."""
    header, *rows = [
        " & ".join(re.sub(r"[\\&%$#_{}~^]", lambda sign: LATEX[sign[0]], cell) for cell in row)
        for row in list_cells(board)
    ]
    columns = "l" + "r" * header.count(" & ")
    lines = [rf"{row} \\" for row in rows]
    notes = [f"% {line}" for line in explain(board)]
    return "\n".join([
        *notes, rf"\begin{{tabular}}{{{columns}}}", r"\hline", rf"{header} \\", r"\hline", *lines,
        r"\hline", r"\end{tabular}",
    ])  # fmt: skip


def as_csv(board: Leaderboard) -> str:
    """Write one line per run and data set, with numbers in full."""
    depths = list_depths(board)
    names = [f"recall@{n}{part}" for n in depths for part in ("", "_low", "_high")]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow([
        "run", "set", "num_queries", *names, "difference", "difference_low", "difference_high",
        "p_mcnemar", "p_holm", "descriptor_bytes", "seconds_per_query", "changes",
    ])  # fmt: skip
    for row in board.rows:
        seconds = row.seconds
        for name, entry in row.entries.items():
            recalls = [(one[0], *one[1]) if (one := entry.recalls.get(n)) else (None,) * 3
                       for n in depths]  # fmt: skip
            paired = entry.paired
            compared = [None] * 5 if paired is None else [
                paired.difference, *paired.interval, paired.p_value, entry.p_value
            ]  # fmt: skip
            table.writerow([
                entry.run.name, name, len(entry.run.ranks),
                *(value for one in recalls for value in one),
                *compared, row.descriptor_bytes, seconds, "; ".join(row.changes),
            ])  # fmt: skip
            seconds = None  # those of the row's first run
    return file.getvalue().rstrip("\n")


FORMATS = {"text": as_text, "md": as_markdown, "csv": as_csv, "latex": as_latex}


def list_cells(board: Leaderboard) -> list[list[str]]:
    """List the cells of each row, the header first and what differs last.

    One data set has a column for each depth, several have one column each.
    """
    only = board.sets[0] if len(board.sets) == 1 else None
    n = board.depth
    if only is None:
        heads = [f"{name}, recall@{n}, - {board.baseline}, p" for name in board.sets]
    else:
        depths = list_depths(board)
        heads = [f"recall@{n}" for n in depths]
        heads += [f"@{n} - {board.baseline}", "p"]
    rows = []
    for row in board.rows:
        if only is None:
            cells = [_summarise(row.entries.get(name), n) for name in board.sets]
        else:
            entry = row.entries[only]
            cells = [*(format_recall(entry, n) for n in depths), *format_difference(entry)]
        stored = "" if row.descriptor_bytes is None else f"{row.descriptor_bytes:,}"
        timed = [format_seconds(row)] if board.num_timed else []
        rows.append([row.name, *cells, stored, *timed, ", ".join(row.changes)])
    timed = [SECONDS] if board.num_timed else []
    return [["run", *heads, "bytes", *timed, "changes"], *rows]


def explain(board: Leaderboard) -> list[str]:
    """Say how the numbers of a leaderboard were computed."""
    queries = {
        name: len(row.entries[name].run.ranks)
        for name in board.sets for row in board.rows if name in row.entries
    }  # fmt: skip
    sizes = "; ".join(f"{name}: {count} queries" for name, count in queries.items())
    lines = [
        f"{sizes}. Intervals: {board.confidence:.0%}, block bootstrap along the route; of 0 and 1 "
        "Wilson's. Bytes: of a descriptor in float32.",
        f"p: exact McNemar test at recall@{board.depth} against {board.baseline}, adjusted by Holm "
        f"for {board.num_comparisons} comparisons.",
        f"Seconds: from a photo to its answer, mean of {board.num_timed} queries of a row's first "
        "run, on this machine."
        if board.num_timed
        else "Seconds a query are not recorded; `--time 20` measures them.",
    ]
    lines += [f"Not timed: {reason}" for reason in board.not_timed]
    return [*lines, *(f"Left out: {reason}" for reason in board.left_out)]


def format_seconds(row: Row) -> str:
    """Write the seconds a query, or nothing."""
    return "" if row.seconds is None else f"{row.seconds:.3f}"


def format_recall(entry: Entry, n: int) -> str:
    """Write recall at a depth with its interval, or a dash."""
    if n not in entry.recalls:
        return "-"
    recall, (low, high) = entry.recalls[n]
    return f"{recall:.3f} ({low:.3f}-{high:.3f})"


def format_difference(entry: Entry) -> tuple[str, str]:
    """Write the difference from the baseline with its interval, and its p-value."""
    if entry.paired is None or entry.p_value is None:
        return "", ""
    low, high = entry.paired.interval
    p_value = f"{entry.p_value:.3f}" if entry.p_value >= 0.001 else "< 0.001"
    return f"{entry.paired.difference:+.3f} ({low:+.3f} to {high:+.3f})", p_value


def _summarise(entry: Entry | None, n: int) -> str:
    if entry is None:
        return ""
    difference, p_value = format_difference(entry)
    return f"{format_recall(entry, n)} {difference.split(' (')[0]} {p_value}".rstrip()


def list_depths(board: Leaderboard) -> list[int]:
    """List the depths N that any run reports."""
    entries = (entry for row in board.rows for entry in row.entries.values())
    return sorted({n for entry in entries for n in entry.recalls})
