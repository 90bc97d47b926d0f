"""The loop over epochs, their printed lines, the learning rate, and the files of training."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vpr.features.model import Model, save_model
from vpr.network.aggregator import Clustering
from vpr.training.data import Validation
from vpr.training.epochs import MEANS, train_epoch
from vpr.training.mining import TripletRecipe
from vpr.training.place_batches import PlacesRecipe
from vpr.training.state import Record, TrainingState

Recipe = TripletRecipe | PlacesRecipe
COLUMNS = ("loss", "num_triplets", "num_skipped", *MEANS[1:])  # of loss.csv without an epoch


@dataclass(frozen=True)
class Schedule:
    """Length and steps of training.

    Args:
        epochs: Passes over the database, including those already done.
        lr: Highest learning rate.
        cosine: Whether the rate falls along half a cosine (Loshchilov & Hutter, ICLR 2017) after
            the warm-up, which would reach 0 one epoch after the last.
        warmup_epochs: First epochs, in which the rate rises linearly, e.g. 1/3, 2/3 with two.
        clip_norm: Largest Euclidean norm of a step's gradient; None: unlimited.
        patience: Epochs without a better validation recall after which training ends; None: never.
    """

    epochs: int
    lr: float
    cosine: bool = False
    warmup_epochs: int = 0
    clip_norm: float | None = None
    patience: int | None = None

    def rate(self, epoch: int) -> float:
        """Compute the rate of an epoch, counted from 0.

        It depends on the epoch only, so a resumed run needs no state of a scheduler.
        """
        if epoch < self.warmup_epochs:
            return self.lr * ((epoch + 1) / (self.warmup_epochs + 1))
        if not self.cosine:
            return self.lr
        done = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.lr * ((1 + math.cos(math.pi * done)) / 2)

    def is_over(self, state: TrainingState) -> bool:
        """Return whether training has ended."""
        return len(state.records) >= self.epochs or (
            self.patience is not None and is_stalled(state.recalls, self.patience)
        )


def is_stalled(recalls: list[float], patience: int) -> bool:
    """Return whether the last `patience` epochs brought no better recall than those before.

    `recalls` are those before training and after each epoch.
    """
    return len(recalls) > patience and max(recalls[-patience:]) <= max(recalls[:-patience])


def train(
    state: TrainingState,
    recipe: Recipe,
    schedule: Schedule,
    *,
    validation: Validation | None,
    device: torch.device,
) -> Iterator[Record]:
    """Train epoch by epoch, continuing from the state.

    The state changes in place; saved between two epochs and loaded, it leads to the same end.
    Recall on the held-out images is measured before training and after each epoch.

    Yields:
        The record of each epoch; nothing for 0 epochs.

    Raises:
        ValueError: If nothing trains, the recipe finds nothing to train on, or training diverges.
    """
    if validation and not state.recalls:
        state.note_recall(validation.recall(state.head, device))
    if schedule.is_over(state):
        return
    if not list(state.head.parameters()):
        raise ValueError(
            f"finetune.epochs = {schedule.epochs}: there is nothing to train (finetune.aggregator "
            "is none and trunk.trainable_from is pool): set it to 0"
        )
    # The gradient of picking rows is a sum that torch otherwise adds up in any order.
    torch.use_deterministic_algorithms(True)
    while not schedule.is_over(state):
        epoch = len(state.records)
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.rate(epoch)
        batches, counts = recipe.draw(state, device)
        means = train_epoch(
            state.head, state.optimizer, recipe.seen.features, batches, recipe.measure,
            clip_norm=schedule.clip_norm, title=f"epoch {epoch + 1}/{schedule.epochs}",
            device=device,
        )  # fmt: skip
        record = {"loss": means["loss"], **counts, **means}
        state.records.append(record)
        if validation:
            state.note_recall(validation.recall(state.head, device))
        yield record


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
    columns = ["epoch", *(state.records[0] if state.records else COLUMNS)]
    rows = [{"epoch": number, **record} for number, record in enumerate(state.records, start=1)]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "loss.csv", index=False)
    recalls = {"epoch": range(len(state.recalls)), "recall@5": state.recalls}
    pd.DataFrame(recalls).to_csv(folder / "validation.csv", index=False)
    selected = _last_best(state.recalls) if select_best else len(state.records)
    summary = {"origin": origin, **_summarise(state, selected)}
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    tensors = state.best if select_best else state.head.state_dict()
    save_model(folder / "model.pt", start.with_tensors(tensors))


def _last_best(recalls: list[float]) -> int:
    return len(recalls) - 1 - int(np.argmax(recalls[::-1]))


def _rounded(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _summarise(state: TrainingState, selected: int) -> dict[str, float | int]:
    summary: dict[str, float | int] = {"epochs": len(state.records), "selected_epoch": selected}
    if isinstance(state.head.pool, Clustering):
        summary["num_clusters"] = len(state.head.pool.centroids)
    if state.records:
        last = state.records[-1]
        summary |= {"last_loss": last["loss"], "last_active_share": last["active_share"]}
    if state.recalls:
        summary |= {"selected_validation_recall@5": state.recalls[selected]}
    return summary
