"""`python -m vpr leaderboard`: recorded runs ranked, each against a baseline."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.compare.runs import ComparedRun, load_run
from vpr.commands.leaderboard.page import INDEX, write_page
from vpr.commands.leaderboard.standings import Leaderboard, Row, rank_runs
from vpr.commands.leaderboard.tables import FORMATS
from vpr.commands.leaderboard.timing import time_query
from vpr.evaluation.params import EvaluateParams
from vpr.repository.revisions import list_experiments, list_range, list_runs
from vpr.runtime.parameters import load_params

REASON_WIDTH = 120  # letters; `compare` tells all of it


class Format(StrEnum):
    """Formats of the table."""

    TEXT = "text"
    MD = "md"
    CSV = "csv"
    LATEX = "latex"


def leaderboard(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REVS]...",
            help="Git revisions, ranges of commits, experiments, `workspace`, or queries.csv "
            "files. Default: HEAD, every branch and every experiment.",
        ),
    ] = None,
    experiments: Annotated[
        bool, typer.Option("--experiments", help="All experiments, in addition to REVS or HEAD.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(help="Run to compare the others with. Default: the first.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Format of the table.")] = Format.TEXT,
    html: Annotated[Path | None, typer.Option(help="Folder for an offline page.")] = None,
    time: Annotated[
        int, typer.Option(min=0, help="Number of queries of each run to time, with its own code.")
    ] = 0,
) -> None:
    """Rank recorded runs by recall, with intervals and corrected tests against a baseline."""
    named = [run for name in runs or [] for run in _expand(name)]
    found = [*(named or ["HEAD"]), *list_experiments()] if experiments else named or list_runs()
    if baseline is not None and baseline not in found:
        found = [baseline, *found]
    loaded, left_out = _load(found, required={*(runs or []), *([baseline] if baseline else [])})
    board = rank_runs(
        loaded, load_params("evaluate", EvaluateParams), baseline=baseline or loaded[0].name
    )
    board = replace(board, left_out=left_out)
    if time:
        board = _timed(board, time)
    print(FORMATS[format](board))
    if html is not None:
        count = write_page(html, board)
        print(f"\n{html / INDEX}: written, with {count} reports from DVC's cache")


def _timed(board: Leaderboard, count: int) -> Leaderboard:
    """Add the seconds a query to each row, one run after the other."""
    rows: list[Row] = []
    failed: list[str] = []
    for row in board.rows:
        run = next(iter(row.entries.values())).run
        try:
            rows.append(replace(row, seconds=time_query(run.name, home=run.folder, count=count)))
        except ValueError as error:
            rows.append(row)
            failed.append(str(error))
    return replace(board, rows=rows, num_timed=count, not_timed=failed)


def _expand(name: str) -> list[str]:
    return list_range(name) if ".." in name and not name.endswith(".csv") else [name]


def _load(names: list[str], *, required: set[str]) -> tuple[list[ComparedRun], list[str]]:
    """Load each run once; those that were not asked for by name may have no results.

    Returns:
        The runs, and for each that is left out its name and the reason.

    Raises:
        ValueError: If a required run has no results or no run is left.
    """
    loaded: list[ComparedRun] = []
    left_out: list[str] = []
    for name in dict.fromkeys(names):
        try:
            run = load_run(name)
        except (ValueError, OSError) as error:
            if name in required:
                raise
            reason = str(error).removeprefix(f"{name}: ")
            left_out.append(f"{name}: {textwrap.shorten(reason, REASON_WIDTH, placeholder=' ...')}")
            continue
        same = [other.name for other in loaded if run.stages and other.stages == run.stages]
        if same and name not in required:
            left_out.append(f"{name}: the same run as {same[0]}")
        else:
            loaded.append(run)
    if not loaded:
        raise ValueError(f"expected recorded runs, found none: {'; '.join(left_out)}")
    return loaded, left_out
