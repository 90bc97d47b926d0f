"""A leaderboard as text for a terminal, as Markdown, CSV and LaTeX, and as a page.

The page opens from disk and has the reports that DVC's cache has.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from vpr.commands.compare.command import align, pipe
from vpr.commands.compare.runs import ComparedRun, recorded_hashes
from vpr.commands.leaderboard.standings import Entry, Leaderboard, Row
from vpr.report.pages import TEMPLATES, load_templates
from vpr.repository.dvc import find_cache
from vpr.repository.locked_run import Stage
from vpr.repository.recorded_outs import is_whole, stored_at
from vpr.run_files import DETAILS, QUERIES, RECALL, REPORT

HERE = Path(__file__).parent
INDEX, REPORTS = "index.html", "reports"


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
    """Aligned lines for a terminal; differences from the baseline are listed below."""
    lines = align(_list_texts(board))
    changes = [f"{row.name}: {', '.join(row.changes)}" for row in board.rows if row.changes]
    return "\n".join([*lines, "", *explain(board), "", *changes]).rstrip()


def as_markdown(board: Leaderboard) -> str:
    """Write a table for a pull request or a README."""
    rows = [[text.replace("|", r"\|") for text in row] for row in _with_changes(board)]
    return "\n".join([*pipe(rows), "", *explain(board)])


def as_latex(board: Leaderboard) -> str:
    """Write a tabular for a paper."""
    heads, *rows = _with_changes(board)
    columns = "l" + "r" * (len(heads) - 1)
    table = pd.DataFrame(rows, columns=heads).to_latex(
        index=False, escape=True, column_format=columns
    )
    notes = [f"% {line}" for line in [*explain(board), "The rules need the package booktabs."]]
    return "\n".join([*notes, table.rstrip()])


def as_csv(board: Leaderboard) -> str:
    """Write one line per run and data set, with numbers in full."""
    records = [_record(board, row, name) for row in board.rows for name in row.entries]
    return str(pd.DataFrame(records, dtype=object).to_csv(index=False)).rstrip("\n")


def write_page(folder: Path, board: Leaderboard) -> int:
    """Write the page, and beside it the report of each run that the cache has whole.

    Args:
        folder: The folder to write; an earlier leaderboard there is replaced.
        board: The table.

    Returns:
        Number of reports.

    Raises:
        ValueError: If the folder holds anything else.
    """
    if folder.exists() and (others := {file.name for file in folder.iterdir()} - {INDEX, REPORTS}):
        raise ValueError(f"--html {folder}: has other files ({sorted(others)[0]}): name a new one")
    shutil.rmtree(folder / REPORTS, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    cache, links = find_cache(), dict[str, str]()
    runs = [entry.run for row in board.rows for entry in row.entries.values()]
    for number, run in enumerate(runs):
        place = f"{REPORTS}/{number:02d}"
        if _copy_report(run, cache, folder / place):
            links[run.name] = f"{place}/{REPORT.name}"
    style = (TEMPLATES / "style.css").read_text() + (HERE / "leaderboard.css").read_text()
    script = (HERE / "leaderboard.js").read_text()
    text = load_templates(HERE).get_template("page.html").render(
        board=board, heads=list_heads(board), cells=[list_cells(board, row) for row in board.rows],
        links=links, notes=explain(board),
        style=Markup(style), script=Markup(script),  # noqa: S704 - our own
        hashes={"style": _hash(style), "script": _hash(script)},
    )  # fmt: skip
    (folder / INDEX).write_text(text, encoding="utf-8")
    return len(links)


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


def _hash(text: str) -> str:
    """Hash of an inline script or style, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _copy_report(run: ComparedRun, cache: Path, target: Path) -> bool:
    """Copy a run's report from the cache, if it is there whole and of this run's results."""
    made, report = recorded_hashes(run), run.stages.get("report", Stage())
    read = {dep.path: dep.md5 for dep in report.deps}
    results = [str(path) for path in (RECALL, DETAILS, QUERIES)]
    md5 = made.get(REPORT.parent.as_posix())
    if md5 is None or any(read.get(path) != made.get(path) for path in results):
        return False  # an experiment up to evaluate: the report is of the run before
    listing = stored_at(cache, md5)
    if not is_whole(listing, md5):
        return False
    files = {entry["relpath"]: stored_at(cache, entry["md5"])
             for entry in json.loads(listing.read_bytes())}  # fmt: skip
    if not all(file.is_file() for file in files.values()):
        return False
    for name, file in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / name)
    return True
