"""`python -m vpr report A B`: two runs side by side, on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.compare.runs import compare_runs, load_two
from vpr.commands.locate.outputs import check_targets
from vpr.commands.report.page import write_page


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B",
            help="Two runs: git revisions, experiments, `workspace`, folders of finished runs, or "
            "queries.csv files.",
        ),
    ],
    html: Annotated[Path, typer.Option(help="Page to write.")] = Path("comparison.html"),
) -> None:
    """Write an offline page of two runs: recall, changed queries, parameters."""
    check_targets({"--html": html}, sheet_px=(1, 1))
    write_page(html, compare_runs(*load_two(runs)))
    print(f"{html}: written")
