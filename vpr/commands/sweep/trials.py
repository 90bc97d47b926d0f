"""Experiments that differ in two parameters of training, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from vpr.evaluation.recall import STANDARD_DEPTHS

Cell = tuple[float, int]  # learning rate, clusters


@dataclass(frozen=True)
class Trial:
    """One run.

    Args:
        name: Of the experiment or the branch.
        revision: The git commit that holds its metrics.
        cell: Its learning rate and number of clusters.
    """

    name: str
    revision: str
    cell: Cell


def parse_trials(shown: Sequence[Mapping[str, Any]]) -> dict[Cell, Trial]:
    """Find the runs of the last commit that differ from it only in the two parameters.

    Args:
        shown: What `dvc exp show --json` prints: the workspace, then the commit.

    Returns:
        The newest finished run of each cell; the commit itself is one.
    """
    commit = shown[1]
    entries = [{"name": commit["name"], "revs": [commit]}, *(commit["experiments"] or [])]
    _, rest = _split(commit["data"]["params"])
    found: dict[Cell, Trial] = {}
    for entry in entries:
        one = entry["revs"][0]
        if not one.get("data") or not one["data"].get("metrics"):
            continue
        cell, other = _split(one["data"]["params"])
        if other == rest:
            found.setdefault(cell, Trial(entry["name"], one["rev"], cell))
    return found


def list_cells(rates: Sequence[float], clusters: Sequence[int]) -> list[Cell]:
    """List the grid, row by row."""
    return list(product(rates, clusters))


def as_table(rows: Sequence[tuple[Trial, Mapping[str, Any]]]) -> str:
    """Write a line for each run, the best recall@1 first.

    Args:
        rows: Runs with their `metrics/recall.json`.
    """
    lines = [f"{'lr':>8} {'clusters':>8}  recall@1 (interval)   recall@5/10/20      experiment"]
    ordered = sorted(rows, key=lambda row: (-row[1]["recall@1"], row[0].cell))
    for trial, metrics in ordered:
        low, high = metrics["recall@1_block_bootstrap"]
        deeper = "/".join(
            f"{metrics[key]:.3f}" if key in metrics else "-"
            for key in (f"recall@{depth}" for depth in STANDARD_DEPTHS[1:])
        )
        rate, clusters = trial.cell
        lines.append(
            f"{rate:>8g} {clusters:>8}  {metrics['recall@1']:.3f} ({low:.3f}-{high:.3f})   "
            f"{deeper:<19} {trial.name}"
        )
    return "\n".join(lines)


def _split(params: Mapping[str, Any]) -> tuple[Cell, dict[str, Any]]:
    """Split parameters into the two that are swept and all others."""
    values = {section: dict(keys) for section, keys in params["params.yaml"]["data"].items()}
    cell = float(values["finetune"].pop("lr")), int(values["finetune"].pop("num_clusters"))
    return cell, values
