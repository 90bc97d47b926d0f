"""The log of training: a line for each epoch, and tables next to the model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from vpr.features.model import Model, save_model
from vpr.network.aggregator import Clustering
from vpr.training.epochs import MEANS
from vpr.training.state import Record, TrainingState

COLUMNS = ("loss", "num_triplets", "num_skipped", *MEANS[1:])  # of loss.csv without an epoch


def announce_epochs(records: Iterable[Record], state: TrainingState) -> None:
    """Train to the end and print a line per epoch.

    Seconds appear only here: in a cached file they would make equal runs differ. `records` come
    from `train`, which changes `state`.
    """
    if state.records:
        print(f"resuming after epoch {len(state.records)}")
    start = time.monotonic()
    for record in records:
        seconds, start = time.monotonic() - start, time.monotonic()
        words = ", ".join(f"{name} {_rounded(value)}" for name, value in record.items())
        print(f"epoch {len(state.records)}: {words}", end="")
        print(f", validation recall {state.recalls[-1]:.3f}" if state.recalls else "", end="")
        print(f", {seconds:.1f} s", flush=True)


def save_training(folder: Path, start: Model, state: TrainingState, *, select_best: bool) -> None:
    """Write the model with its log.

    Args:
        folder: Folder to create: `model.pt` (all layers), `loss.csv` (a row per epoch),
            `validation.csv` (the validation recall before training and after each epoch) and
            `metrics.json` (of the last epoch, and the model's epoch).
        start: Model that training started from; tensors that are not in the head are kept.
        state: State at the end of training.
        select_best: Whether to save the model of the best validation recall instead of the last.
    """
    folder.mkdir(exist_ok=True)  # a killed run may have left it
    columns = ["epoch", *(state.records[0] if state.records else COLUMNS)]
    rows = [{"epoch": number, **record} for number, record in enumerate(state.records, start=1)]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "loss.csv", index=False)
    recalls = {"epoch": range(len(state.recalls)), "recall@5": state.recalls}
    pd.DataFrame(recalls).to_csv(folder / "validation.csv", index=False)
    selected = _last_best(state.recalls) if select_best else len(state.records)
    summary = _summarise(state, selected)
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    tensors = state.best if select_best else state.head.state_dict()
    save_model(folder / "model.pt", start.with_tensors(tensors))


def _last_best(recalls: list[float]) -> int:
    return len(recalls) - 1 - int(np.argmax(recalls[::-1]))


def _rounded(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _summarise(state: TrainingState, selected: int) -> dict[str, float | int]:
    summary: dict[str, float | int] = {
        "epochs": len(state.records),
        "selected_epoch": selected,
    }
    if isinstance(state.head.pool, Clustering):
        summary["num_clusters"] = len(state.head.pool.centroids)
    if state.records:
        last = state.records[-1]
        summary |= {"last_loss": last["loss"], "last_active_share": last["active_share"]}
    if state.recalls:
        summary |= {"selected_validation_recall@5": state.recalls[selected]}
    return summary
