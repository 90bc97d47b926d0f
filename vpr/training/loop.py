"""Epochs of training, one after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vpr.training.data import TrainingData
from vpr.training.epochs import Batch, train_epoch
from vpr.training.losses import Measured
from vpr.training.state import Record, TrainingState
from vpr.training.validation import Validation, is_stalled


class Recipe(Protocol):
    """A way to make an epoch from the database."""

    @property
    def seen(self) -> TrainingData:
        """The database without its held-out images."""

    def draw(
        self, state: TrainingState, device: torch.device
    ) -> tuple[list[Batch], dict[str, int]]:
        """Draw the batches of the next epoch, and count what they have, by columns of the record.

        Raises:
            ValueError: If there is nothing to train on.
        """

    def measure(self, descriptors: Tensor, roles: Tensor) -> Measured:
        """Measure the loss on the descriptors (N, dim) of a batch."""


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
