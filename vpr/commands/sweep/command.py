"""`python -m vpr sweep`: a grid over learning rate and clusters, by DVC's experiments."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from vpr.commands.sweep.trials import Cell, Trial, as_table, list_cells, parse_trials
from vpr.repository.dvc import ask_dvc, find_cache, tell_cache_path, tell_dvc
from vpr.repository.git import differs_from_commit, read_committed

METRICS = "metrics/recall.json"


def sweep(
    lr: Annotated[str, typer.Option(help="Learning rates, with spaces between.")],
    clusters: Annotated[str, typer.Option(help="Numbers of clusters, with spaces between.")],
) -> None:
    """Run what is missing of a grid, and print recall with its intervals, the best first."""
    cells = list_cells([float(one) for one in lr.split()], [int(one) for one in clusters.split()])
    if differs_from_commit("params.yaml"):
        raise ValueError(
            "params.yaml: differs from the last commit: commit it, and sweep from there"
        )
    found = _shown()
    missing = [cell for cell in cells if cell not in found]
    fault = tell_cache_path(find_cache()) if missing else None
    if fault:
        raise ValueError(f"a sweep cannot run here: {fault}")
    for rate, number in missing:
        change = ("-S", f"finetune.lr={rate!r}", "-S", f"finetune.num_clusters={number}")
        if not tell_dvc("exp", "run", "--temp", *change):
            sys.exit(1)
    found = _shown()
    print(as_table(list(_with_metrics(found[cell] for cell in cells))))
    print("\nTo take one over: dvc exp apply EXPERIMENT. Intervals: by block bootstrap.")


def _shown() -> dict[Cell, Trial]:
    return parse_trials(json.loads(ask_dvc("exp", "show", "--json")))


def _with_metrics(trials: Iterable[Trial]) -> Iterable[tuple[Trial, dict[str, Any]]]:
    for trial in trials:  # from git, since DVC's tables leave lists out
        yield trial, json.loads(read_committed(METRICS, trial.revision))
