"""Training the head with batches of places, from stored features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.console.progress import track
from vpr.features.local_features import LocalFeatures
from vpr.network.head import Head
from vpr.training.epochs import describe_distinct, require_finite, require_finite_weights
from vpr.training.losses import BatchLoss, measure_distances
from vpr.training.optimizers import take_step
from vpr.training.place_batches import Batch
from vpr.training.records import PlacesRecord


@dataclass(frozen=True)
class BatchSums:
    """A batch's contribution to the epoch's record; distances are summed, with their counts."""

    loss: float
    gradient_norm: float
    num_active: int
    positive: tuple[float, int]
    negative: tuple[float, int]


def train_on_places(
    head: Head,
    optimizer: torch.optim.Optimizer,
    features: LocalFeatures,
    batches: list[Batch],
    *,
    loss: BatchLoss,
    clip_norm: float | None,
    title: str,
    device: torch.device,
) -> PlacesRecord:
    """Train on batches of places once, a step for each.

    The head changes in place. `clip_norm` is the largest Euclidean norm of a step's gradient; None:
    unlimited.

    Returns:
        Means over the epoch.

    Raises:
        ValueError: If the loss, its gradient or a weight is NaN or infinite.
    """
    head.to(device)
    done = []
    for batch in track(batches, total=len(batches), title=title):
        optimizer.zero_grad()
        images, places = label_batch(batch)
        descriptors = describe_distinct(head, features, images.tolist(), device)
        done.append(_step(head, optimizer, descriptors, places.to(device), loss, clip_norm))
        require_finite([done[-1].loss, done[-1].gradient_norm])
    require_finite_weights(head)
    num_images = sum(len(place) for batch in batches for place in batch)
    return PlacesRecord(
        loss=float(np.mean([step.loss for step in done])),
        num_batches=len(batches),
        num_places=sum(map(len, batches)),
        num_images=num_images,
        active_share=sum(step.num_active for step in done) / num_images,
        positive_distance=_mean([step.positive for step in done]),
        negative_distance=_mean([step.negative for step in done]),
        gradient_norm=float(np.mean([step.gradient_norm for step in done])),
    )


def label_batch(batch: Batch) -> tuple[NDArray[np.int64], Tensor]:
    """List the images of a batch (N,), and their place numbers (N,)."""
    return np.concatenate(batch), torch.repeat_interleave(torch.tensor([len(p) for p in batch]))


def _step(
    head: Head,
    optimizer: torch.optim.Optimizer,
    descriptors: Tensor,
    places: Tensor,
    loss: BatchLoss,
    clip_norm: float | None,
) -> BatchSums:
    descriptors.retain_grad()
    measured = loss(descriptors, places)
    norm = take_step(head, optimizer, measured, clip_norm=clip_norm)
    assert descriptors.grad is not None  # noqa: S101 - retained above
    with torch.no_grad():
        near, far = measure_distances(descriptors, places)
    return BatchSums(
        loss=measured.item(),
        gradient_norm=norm,
        num_active=int(descriptors.grad.ne(0).any(dim=1).sum()),
        positive=(float(near.double().sum()), len(near)),
        negative=(float(far.double().sum()), len(far)),
    )


def _mean(sums: list[tuple[float, int]]) -> float:
    return sum(total for total, _ in sums) / max(sum(count for _, count in sums), 1)
