"""Training the head with triplets, from stored features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.console.progress import track
from vpr.features.local_features import LocalFeatures
from vpr.network.head import Head, extract_descriptors
from vpr.training.losses import Loss
from vpr.training.mining import Triplets
from vpr.training.optimizers import take_step
from vpr.training.records import EpochRecord


def describe_database(
    head: Head, features: LocalFeatures, device: torch.device
) -> NDArray[np.float32]:
    """Descriptors (num_images, dim) of all images, by the network as it is now."""
    images = range(len(features.shapes))
    return np.concatenate(list(extract_descriptors(head, features, images, device)))


def train_epoch(
    head: Head,
    optimizer: torch.optim.Optimizer,
    features: LocalFeatures,
    triplets: Triplets,
    *,
    loss: Loss,
    margin: float,
    batch_triplets: int,
    clip_norm: float | None,
    title: str,
    device: torch.device,
) -> EpochRecord:
    """Train on the triplets once: a step for each group, along its mean gradient.

    The last group may be short; its mean is over what it has. The head changes in place. `margin`
    is Euclidean; `clip_norm` is the largest Euclidean norm of a step's gradient (None: unlimited).

    Returns:
        Means over the epoch; zeros if there was no triplet.

    Raises:
        ValueError: If the loss, its gradient or a weight is NaN or infinite.
    """
    head.to(device)
    groups = [
        triplets.images[start : start + batch_triplets]
        for start in range(0, len(triplets.images), batch_triplets)
    ]
    sums, norms = np.zeros(4), []
    for group in track(groups, total=len(groups), title=title):
        optimizer.zero_grad()
        measured = group_losses(head, features, group, loss=loss, margin=margin, device=device)
        norms.append(take_step(head, optimizer, measured[0].mean(), clip_norm=clip_norm))
        losses, near, far = (values.detach().double() for values in measured)
        sums += [float(values.sum()) for values in (losses, losses > 0, near, far)]
        require_finite([*sums, norms[-1]])
    require_finite_weights(head)
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


def require_finite(measured: Sequence[float]) -> None:
    """Stop a training that diverges.

    Raises:
        ValueError: If a step's loss or gradient is NaN or infinite.
    """
    if not np.isfinite(measured).all():
        raise ValueError("the loss or its gradient is NaN or infinite: try a smaller finetune.lr")


def require_finite_weights(head: Head) -> None:
    """Stop a training whose last step diverged, which no later loss would show.

    Raises:
        ValueError: If a weight is NaN or infinite.
    """
    if not all(bool(torch.isfinite(weights).all()) for weights in head.parameters()):
        raise ValueError("a weight is NaN or infinite: try a smaller finetune.lr")


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

    `group` has the anchor, positive and negative of each triplet, shape (T, 3); `margin` is
    Euclidean.

    Returns:
        Loss, distance to the positive and distance to the negative of each triplet, shape (T,).
    """
    images, places = np.unique(group, return_inverse=True)
    descriptors = describe_distinct(head, features, images.tolist(), device)
    anchor, near, far = descriptors[torch.from_numpy(places.reshape(-1, 3)).to(device)].unbind(1)
    losses = loss(anchor, near, far, margin)  # (T,)
    distance = nn.PairwiseDistance()
    return losses, distance(anchor, near), distance(anchor, far)


def describe_distinct(
    head: Head, features: LocalFeatures, images: Sequence[int], device: torch.device
) -> Tensor:
    """Compute descriptors of images for training, those of one shape in one batch.

    `images` are distinct indices.

    Returns:
        Shape (num_images, dim), in the order of the images.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        by_shape.setdefault(tuple(features.shapes[image]), []).append(place)
    parts = [
        head(features.maps([images[place] for place in places]).to(device))
        for places in by_shape.values()
    ]
    order = np.argsort(np.concatenate(list(by_shape.values())))
    return torch.cat(parts)[torch.from_numpy(order).to(device)]  # (num_images, dim)
