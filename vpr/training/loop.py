"""Epochs of training, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from vpr.training.optimizers import rate_factor, set_rate
from vpr.training.recipes import Recipe
from vpr.training.records import Record
from vpr.training.state import TrainingState
from vpr.training.validation import Validation, is_stalled


@dataclass(frozen=True)
class Schedule:
    """Length and learning rates of training.

    Args:
        epochs: Passes over the database, including those already done.
        lr: Highest learning rate.
        cosine: Whether the rate falls along half a cosine.
        warmup_epochs: First epochs, in which the rate rises linearly.
        patience: Epochs without a better validation recall after which training ends; None: never.
    """

    epochs: int
    lr: float
    cosine: bool = False
    warmup_epochs: int = 0
    patience: int | None = None

    def rate(self, epoch: int) -> float:
        """Compute the rate of an epoch, counted from 0."""
        return self.lr * rate_factor(
            epoch, epochs=self.epochs, warmup_epochs=self.warmup_epochs, cosine=self.cosine
        )

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
        ValueError: If nothing trains, or the recipe finds nothing to train on.
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
        set_rate(state.optimizer, schedule.rate(epoch))
        title = f"epoch {epoch + 1}/{schedule.epochs}"
        record = recipe.train(state, title=title, device=device)
        state.records.append(record)
        if validation:
            state.note_recall(validation.recall(state.head, device))
        yield record
