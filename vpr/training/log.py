"""The log of training: a line for each epoch, and tables next to the model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd

from vpr.features.model import Model, save_model
from vpr.network.aggregator import Clustering
from vpr.training.records import EpochRecord, Record
from vpr.training.state import TrainingState


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
        print(f"epoch {len(state.records)}: {record.in_words()}", end="")
        print(f", validation recall {state.recalls[-1]:.3f}" if state.recalls else "", end="")
        print(f", {seconds:.1f} s", flush=True)


def save_training(
    folder: Path, start: Model, state: TrainingState, *, origin: str, select_best: bool
) -> None:
    """Write the model with its log.

    Args:
        folder: Folder to create: `model.pt` (all layers), `loss.csv` (a row per epoch),
            `validation.csv` (the validation recall before training and after each epoch) and
            `metrics.json` (of the last epoch, the model's epoch, and the pool's origin).
        start: Model that training started from; tensors that are not in the head are kept.
        state: State at the end of training.
        origin: Where the first pool, such as NetVLAD's clusters, comes from.
        select_best: Whether to save the model of the best validation recall instead of the last.
    """
    folder.mkdir(exist_ok=True)  # a killed run may have left it
    _records_table(state.records).to_csv(folder / "loss.csv", index=False)
    recalls = {"epoch": range(len(state.recalls)), "recall@5": state.recalls}
    pd.DataFrame(recalls).to_csv(folder / "validation.csv", index=False)
    selected = _last_best(state.recalls) if select_best else len(state.records)
    summary = {"origin": origin, **_summarise(state, selected)}
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    tensors = state.best if select_best else state.head.state_dict()
    save_model(folder / "model.pt", start.with_tensors(tensors))


def _last_best(recalls: list[float]) -> int:
    return len(recalls) - 1 - int(np.argmax(recalls[::-1]))


def _records_table(records: list[Record]) -> pd.DataFrame:
    of = type(records[0]) if records else EpochRecord
    columns = ["epoch", *(field.name for field in fields(of))]
    rows = [{"epoch": number, **asdict(record)} for number, record in enumerate(records, start=1)]
    return pd.DataFrame(rows, columns=columns)


def _summarise(state: TrainingState, selected: int) -> dict[str, float | int]:
    summary: dict[str, float | int] = {
        "epochs": len(state.records),
        "selected_epoch": selected,
    }
    if isinstance(state.head.pool, Clustering):
        summary["num_clusters"] = len(state.head.pool.centroids)
    if state.records:
        last = state.records[-1]
        summary |= {"last_loss": last.loss, "last_active_share": last.active_share}
    if state.recalls:
        summary |= {"selected_validation_recall@5": state.recalls[selected]}
    return summary
