"""A leaderboard as a page that opens from disk, with the reports that DVC's cache has."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from vpr.commands.compare.runs import ComparedRun, recorded_hashes
from vpr.commands.leaderboard.standings import Entry, Leaderboard, Row
from vpr.commands.leaderboard.tables import (
    SECONDS,
    explain,
    format_difference,
    format_recall,
    format_seconds,
    list_depths,
)
from vpr.report.pages import TEMPLATES, load_templates
from vpr.repository.dvc import find_cache
from vpr.repository.locked_run import Stage
from vpr.repository.recorded_outs import is_whole, stored_at
from vpr.run_files import DETAILS, QUERIES, RECALL, REPORT

HERE = Path(__file__).parent
INDEX, REPORTS = "index.html", "reports"


class Cell(NamedTuple):
    """A cell of the page.

    Args:
        text: What it shows; empty for a dash.
        value: What the column is sorted by; None comes last.
        band: Ends of the interval and the recall, in [0, 1], to be drawn.
        verdict: `better` or `worse`, where the difference is significant.
    """

    text: str = ""
    value: float | None = None
    band: tuple[float, float, float] | None = None
    verdict: str = ""


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
    cache, copied = find_cache(), dict[str, Path]()
    entries = [(row, entry) for row in board.rows for entry in row.entries.values()]
    links = {}
    for number, (_, entry) in enumerate(entries):
        place = f"{REPORTS}/{number:02d}"
        if _copy_report(entry.run, cache, folder / place, copied):
            links[entry.run.name] = f"{place}/{REPORT.name}"
    style = (TEMPLATES / "style.css").read_text() + (HERE / "leaderboard.css").read_text()
    script = (HERE / "leaderboard.js").read_text()
    text = load_templates(HERE).get_template("page.html").render(
        board=board, heads=_heads(board), rows=[_describe(row, board, links) for row in board.rows],
        notes=explain(board), style=Markup(style), script=Markup(script),  # noqa: S704 - our own
        hashes={"style": _hash(style), "script": _hash(script)},
    )  # fmt: skip
    (folder / INDEX).write_text(text, encoding="utf-8")
    return len(links)


def _hash(text: str) -> str:
    """Hash of an inline script or style, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _heads(board: Leaderboard) -> list[str]:
    """List the titles of the columns that sort the table."""
    heads = []
    for name in board.sets:
        start = f"{name}: " if len(board.sets) > 1 else ""
        heads += [f"{start}recall@{n}" for n in _shown_depths(board)]
        heads += [f"{start}difference", f"{start}p"]
    return [*heads, "bytes", *([SECONDS] if board.num_timed else [])]


def _shown_depths(board: Leaderboard) -> list[int]:
    return list_depths(board) if len(board.sets) == 1 else [board.depth]


def _describe(row: Row, board: Leaderboard, links: Mapping[str, str]) -> dict[str, Any]:
    """Collect what the page shows of a row: for each cell its text, its value and its band."""
    cells: list[Cell] = []
    for name in board.sets:
        entry = row.entries.get(name)
        cells += [_recall_cell(entry, n) for n in _shown_depths(board)]
        cells += _difference_cells(entry, 1 - board.confidence)
    stored = row.descriptor_bytes
    cells.append(Cell("" if stored is None else f"{stored:,}", stored))
    cells += [Cell(format_seconds(row), row.seconds)] if board.num_timed else []
    names = [entry.run.name for entry in row.entries.values()]
    return {
        "cells": cells, "changes": row.changes,
        "runs": [(name, links.get(name)) for name in names],
        "is_baseline": board.baseline in names,
    }  # fmt: skip


def _recall_cell(entry: Entry | None, n: int) -> Cell:
    if entry is None or n not in entry.recalls:
        return Cell()
    recall, (low, high) = entry.recalls[n]
    return Cell(format_recall(entry, n), recall, (low, high, recall))


def _difference_cells(entry: Entry | None, level: float) -> list[Cell]:
    if entry is None or entry.paired is None or entry.p_value is None:
        return [Cell(), Cell()]
    difference, p_value = format_difference(entry)
    change = entry.paired.difference
    verdict = "better" if change > 0 else "worse"
    if entry.p_value >= level:
        verdict = ""
    return [Cell(difference, change, verdict=verdict), Cell(p_value, entry.p_value)]


def _copy_report(run: ComparedRun, cache: Path, target: Path, copied: dict[str, Path]) -> bool:
    """Copy a run's report from the cache, if it is there whole and of this run's results.

    Args:
        run: The run.
        cache: DVC's cache.
        target: The folder to create.
        copied: Files copied so far by their hash, which are linked instead of copied again.
    """
    made = recorded_hashes(run)
    report = run.stages.get("report", Stage())
    read = {dep.path: dep.md5 for dep in report.deps}
    results = [str(path) for path in (RECALL, DETAILS, QUERIES)]
    md5 = made.get(REPORT.parent.as_posix())
    if md5 is None or any(read.get(path) != made.get(path) for path in results):
        return False  # an experiment up to evaluate: the report is of the run before
    listing = stored_at(cache, md5)
    if not is_whole(listing, md5):
        return False
    files = json.loads(listing.read_bytes())
    if not all(stored_at(cache, file["md5"]).is_file() for file in files):
        return False
    for file in files:
        place = target / file["relpath"]
        place.parent.mkdir(parents=True, exist_ok=True)
        if file["md5"] in copied:
            os.link(copied[file["md5"]], place)
        else:
            shutil.copyfile(stored_at(cache, file["md5"]), place)
            copied[file["md5"]] = place
    return True
