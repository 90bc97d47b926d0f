"""`python -m vpr gate`: fail where recall is too low, or fell too far."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vpr.commands.gate.limits import Diff, judge, parse_diff, parse_limit
from vpr.repository.dvc import ask_dvc


def gate(
    old: Annotated[
        str | None, typer.Argument(help="Revision to compare with. Default: HEAD.")
    ] = None,
    new: Annotated[
        str | None, typer.Argument(help="Revision to judge. Default: the workspace.")
    ] = None,
    min: Annotated[list[str] | None, typer.Option(help="METRIC=NUMBER, the least allowed.")] = None,
    max_drop: Annotated[
        list[str] | None, typer.Option(help="METRIC=NUMBER, the largest allowed.")
    ] = None,
) -> None:
    """Exit with 1 unless every metric keeps its limits; `dvc metrics diff` itself never fails."""
    minima, drops = ([parse_limit(text) for text in texts or []] for texts in (min, max_drop))
    if not minima and not drops:
        raise ValueError("expected a limit, found none: give --min or --max-drop")
    verdicts = judge(_diff(old, new), minima=minima, drops=drops)
    for kept, words in verdicts:
        print(f"{'ok  ' if kept else 'FAIL'}  {words}")
    if not all(kept for kept, _ in verdicts):
        sys.exit(1)


def _diff(old: str | None, new: str | None) -> Diff:
    revisions = [revision for revision in (old, new) if revision]
    return parse_diff(ask_dvc("metrics", "diff", "--all", "--json", *revisions))
