"""`python -m vpr sweep`: a grid over learning rate and clusters, by DVC's experiments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from vpr.commands.doctor.inputs import check_sharing, check_sharing_of_weights
from vpr.commands.sweep.over_cluster import Experiment, run_over_cluster
from vpr.commands.sweep.trials import Cell, Trial, as_table, list_cells, parse_trials
from vpr.repository.dvc import ask_dvc, find_cache, tell_cache_path, tell_dvc
from vpr.repository.git import current_commit, differs_from_commit, read_committed
from vpr.runtime.parameters import load_param

METRICS = "metrics/recall.json"
T = TypeVar("T")


def sweep(
    lr: Annotated[str, typer.Option(help="Learning rates, separated by spaces or commas.")],
    clusters: Annotated[str, typer.Option(help="Numbers of clusters, separated likewise.")],
    ray: Annotated[bool, typer.Option(help="Run over the cluster of VPR_RAY_ADDRESS.")] = False,
) -> None:
    """Run what is missing of a grid, and print recall with its intervals, the best first."""
    rates = _parse("--lr", lr, float)
    cells = list_cells(rates, _parse("--clusters", clusters, int))
    if len(rates) > 1 and load_param("finetune.epochs", int) == 0:
        raise ValueError(
            "--lr: finetune.epochs = 0, so learning rates change nothing: set it in "
            "params.yaml and commit, or give one rate"
        )
    for finding in (check_sharing(Path()), check_sharing_of_weights(Path())):
        if finding.is_note:  # an experiment in a folder of its own would lack it
            raise ValueError(finding.words)
    if differs_from_commit("params.yaml"):
        raise ValueError("params.yaml differs from the last commit: commit it, then sweep again")
    found = _shown()
    missing = [_experiment(cell) for cell in cells if cell not in found]
    if ray:
        run_over_cluster(missing)
    else:
        _run_here(missing)
    found = _shown()
    print(as_table(list(_with_metrics(found[cell] for cell in cells))))
    print("\nTo apply one: dvc exp apply EXPERIMENT. Intervals: by block bootstrap.")


def _experiment(cell: Cell) -> Experiment:
    rate, number = cell
    name = f"sweep-{str(current_commit())[:7]}-lr{rate!r}-clusters{number}"
    return Experiment(name, (f"finetune.lr={rate!r}", f"finetune.num_clusters={number}"))


def _run_here(experiments: Sequence[Experiment]) -> None:
    fault = tell_cache_path(find_cache()) if experiments else None
    if fault:
        raise ValueError(f"a sweep cannot run here: {fault}")
    for one in experiments:
        changes = [word for change in one.changes for word in ("-S", change)]
        if not tell_dvc("exp", "run", "--temp", *changes):
            sys.exit(1)


def _parse(option: str, text: str, kind: Callable[[str], T]) -> list[T]:
    try:
        return [kind(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise ValueError(
            f"{option} {text!r}: expected numbers separated by spaces, such as '1e-5 1e-4' for "
            "learning rates or '16 64' for clusters"
        ) from None


def _shown() -> dict[Cell, Trial]:
    return parse_trials(json.loads(ask_dvc("exp", "show", "--json")))


def _with_metrics(trials: Iterable[Trial]) -> Iterable[tuple[Trial, dict[str, Any]]]:
    for trial in trials:  # from git, since DVC's tables leave lists out
        yield trial, json.loads(read_committed(METRICS, trial.revision))
