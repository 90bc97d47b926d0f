"""The state of training between two epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.network.head import Head

Record = dict[str, float]  # of an epoch: a row of loss.csv, by docs/training.md's names of columns


@dataclass
class TrainingState:
    """Everything that the next epoch depends on; `train` changes it in place.

    Args:
        rng: Source of the order and of random choices.
        mined: Descriptors (num_images, dim) that mining uses, from a recent state of the network;
            None: the next epoch computes them.
        records: Records of the epochs done.
        recalls: Validation recall before training and after each epoch done; empty without
            validation.
        best: The head's tensors where that recall was highest, the last of equal ones.
    """

    head: Head
    make_optimizer: Callable[[], torch.optim.Optimizer]
    rng: np.random.Generator
    mined: NDArray[np.float32] | None = None
    records: list[Record] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(
        cls, head: Head, *, seed: int, momentum: float, weight_decay: float,
        optimizer: Literal["sgd", "adamw"] = "sgd",
    ) -> TrainingState:  # fmt: skip
        """Make the state before the first epoch; each epoch sets its own learning rate.

        AdamW has two averages of its own (0.9, 0.999) instead of `momentum`. SGD adds
        `weight_decay` to the gradient, AdamW shrinks the weights by it.
        """
        group = [{"params": list(head.parameters())}]  # a group may be empty, a list not
        make: Callable[[], torch.optim.Optimizer] = partial(
            torch.optim.SGD, group, momentum=momentum, weight_decay=weight_decay
        )
        if optimizer == "adamw":
            make = partial(torch.optim.AdamW, group, weight_decay=weight_decay)
        return cls(head, make, np.random.default_rng(seed))

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Optimizer, made when training begins: torch imports its compiler, which takes 1 s."""
        return self.make_optimizer()

    def note_recall(self, recall: float) -> None:
        """Record the head's current validation recall, and keep the head if it is the best."""
        if recall >= max(self.recalls, default=0.0):
            self.best = {name: t.detach().clone() for name, t in self.head.state_dict().items()}
        self.recalls.append(recall)

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as tensors, numbers and names, which `torch.load` reads safely."""
        return {
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "mined": None if self.mined is None else torch.from_numpy(self.mined),
            "records": self.records,
            "recalls": self.recalls,
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`, with a head and an optimizer made in the same way."""
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self.mined = None if state["mined"] is None else state["mined"].numpy()
        self.records = list(state["records"])
        self.recalls = list(state["recalls"])
        self.best = state["best"]
