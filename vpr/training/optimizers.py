"""Optimizer, schedule of its learning rate, and the step that both recipes take."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from vpr.network.head import Head


def make_optimizer(
    head: Head,
    *,
    momentum: float,
    weight_decay: float,
    kind: Literal["sgd", "adamw"] = "sgd",
) -> torch.optim.Optimizer:
    """Make torch's optimizer over everything in the head, which may be nothing.

    Its learning rate is torch's own until `set_rate`, which each epoch calls first.

    AdamW has two averages of its own (0.9, 0.999) instead of `momentum`. SGD adds `weight_decay` to
    the gradient, AdamW shrinks the weights by it.
    """
    group = [{"params": list(head.parameters())}]
    if kind == "adamw":
        return torch.optim.AdamW(group, weight_decay=weight_decay)
    return torch.optim.SGD(group, momentum=momentum, weight_decay=weight_decay)


def rate_factor(epoch: int, *, epochs: int, warmup_epochs: int, cosine: bool) -> float:
    """Compute the factor that an epoch's learning rate is multiplied by.

    It depends on the epoch only, so a resumed run needs no state of a scheduler.

    Args:
        epoch: Number of the epoch, from 0.
        epochs: Length of the whole training.
        warmup_epochs: First epochs in which the rate rises linearly, e.g. 1/3, 2/3 with two.
        cosine: Whether the rate then falls along half a cosine (Loshchilov & Hutter, ICLR 2017),
            which would reach 0 one epoch after the last.
    """
    if epoch < warmup_epochs:
        return (epoch + 1) / (warmup_epochs + 1)
    if not cosine:
        return 1.0
    done = (epoch - warmup_epochs) / (epochs - warmup_epochs)
    return (1 + math.cos(math.pi * done)) / 2


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of everything that trains."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def take_step(
    head: Head, optimizer: torch.optim.Optimizer, loss: Tensor, *, clip_norm: float | None
) -> float:
    """Step along the gradient of a loss.

    The head's gradients are zero before. If the Euclidean norm of the gradient over all weights is
    above `clip_norm`, the gradient is scaled down to it.

    Returns:
        The gradient's norm before clipping.
    """
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.get_total_norm([p.grad for p in head.parameters()])  # type: ignore[misc]
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(head.parameters(), clip_norm, norm)
    optimizer.step()
    return float(norm)
