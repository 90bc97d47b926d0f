"""Training the head with triplets, from stored features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.features.local_features import LocalFeatures
from vpr.network.describing import extract_descriptors
from vpr.network.head import Head
from vpr.runtime.progress import track
from vpr.training.losses import Loss
from vpr.training.mining import Triplets


@dataclass(frozen=True)
class EpochRecord:
    """What happened in one epoch.

    Args:
        loss: Mean over its triplets.
        num_triplets: Triplets it was computed on.
        num_skipped: Anchors without a negative that violates the margin.
        active_share: Fraction of the triplets whose loss was above zero.
        positive_distance: Mean Euclidean distance of anchor and positive.
        negative_distance: Mean Euclidean distance of anchor and negative.
        gradient_norm: Mean Euclidean norm of a step's gradient.
    """

    loss: float
    num_triplets: int
    num_skipped: int
    active_share: float
    positive_distance: float
    negative_distance: float
    gradient_norm: float


def describe_database(
    head: Head, features: LocalFeatures, device: torch.device
) -> NDArray[np.float32]:
    """Descriptors (num_images, dim) of all images, by the network as it is now."""
    images = range(len(features.shapes))
    return np.concatenate(list(extract_descriptors(head.eval(), features, images, device)))


def train_epoch(
    head: Head,
    optimizer: torch.optim.Optimizer,
    features: LocalFeatures,
    triplets: Triplets,
    *,
    loss: Loss,
    margin: float,
    batch_triplets: int,
    title: str,
    device: torch.device,
) -> EpochRecord:
    """Train on the triplets once: a step for each group, along its mean gradient.

    The last group may be short; its mean is over what it has.

    Args:
        head: What trains; changed in place.
        optimizer: Over the head's parameters.
        features: Stored features of the database.
        triplets: What to train on.
        loss: Of a triplet.
        margin: Triplet-loss margin, Euclidean.
        batch_triplets: Triplets of a group.
        title: Shown with the progress.
        device: Where to compute.

    Returns:
        Means over the epoch; zeros if there was no triplet.

    Raises:
        ValueError: If the loss, its gradient or a weight is no longer a number.
    """
    head.to(device).train()
    groups = [
        triplets.images[start : start + batch_triplets]
        for start in range(0, len(triplets.images), batch_triplets)
    ]
    sums, norms = np.zeros(4), []
    for group in track(groups, total=len(groups), title=title):
        optimizer.zero_grad()
        measured = group_losses(head, features, group, loss=loss, margin=margin, device=device)
        measured[0].mean().backward()  # type: ignore[no-untyped-call]
        norms.append(float(nn.utils.get_total_norm([p.grad for p in head.parameters()])))  # type: ignore[misc]
        optimizer.step()
        losses, near, far = (values.detach().double() for values in measured)
        sums += [float(values.sum()) for values in (losses, losses > 0, near, far)]
        if not np.isfinite([*sums, norms[-1]]).all():
            raise ValueError("the loss or its gradient is no number: try a smaller finetune.lr")
    if not all(bool(torch.isfinite(weights).all()) for weights in head.parameters()):
        raise ValueError("weights are no longer numbers: try a smaller finetune.lr")
    means = (sums / max(len(triplets.images), 1)).tolist()
    return EpochRecord(
        loss=means[0],
        num_triplets=len(triplets.images),
        num_skipped=triplets.num_skipped,
        active_share=means[1],
        positive_distance=means[2],
        negative_distance=means[3],
        gradient_norm=float(np.mean(norms)) if norms else 0.0,
    )


def group_losses(
    head: Head,
    features: LocalFeatures,
    group: NDArray[np.int64],
    *,
    loss: Loss,
    margin: float,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the losses of a group, describing each distinct image once.

    Args:
        head: The network.
        features: Stored features of the database.
        group: Anchor, positive and negative of each triplet, shape (T, 3).
        loss: Of a triplet.
        margin: Triplet-loss margin, Euclidean.
        device: Where to compute.

    Returns:
        Loss, distance to the positive and distance to the negative of each triplet, shape (T,).
    """
    images, places = np.unique(group, return_inverse=True)
    descriptors = _describe_distinct(head, features, images.tolist(), device)
    anchor, near, far = descriptors[torch.from_numpy(places.reshape(-1, 3)).to(device)].unbind(1)
    losses = loss(anchor, near, far, margin)  # (T,)
    distance = nn.PairwiseDistance()
    return losses, distance(anchor, near), distance(anchor, far)


def _describe_distinct(
    head: Head, features: LocalFeatures, images: Sequence[int], device: torch.device
) -> Tensor:
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        by_shape.setdefault(tuple(features.shapes[image]), []).append(place)
    parts = [
        head(features.maps([images[place] for place in places]).to(device))
        for places in by_shape.values()
    ]
    order = np.argsort(np.concatenate(list(by_shape.values())))
    return torch.cat(parts)[torch.from_numpy(order).to(device)]  # (num_images, dim)


def make_optimizer(
    head: Head, *, lr: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Stochastic gradient descent over everything in the head, which may be nothing."""
    group = [{"params": list(head.parameters())}]
    return torch.optim.SGD(group, lr=lr, momentum=momentum, weight_decay=weight_decay)
