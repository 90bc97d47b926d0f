"""An epoch of training from stored features: a step of the optimizer for each batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.console.progress import track
from vpr.features.local_features import LocalFeatures
from vpr.network.head import Head, extract_descriptors
from vpr.training.losses import Measured

Batch = tuple[NDArray[np.int64], Tensor]  # images, each once, (N,), and their roles in the loss
Measure = Callable[[Tensor, Tensor], Measured]  # of descriptors (N, dim) and their roles
MEANS = ("loss", "active_share", "positive_distance", "negative_distance", "gradient_norm")


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
    batches: Sequence[Batch],
    measure: Measure,
    *,
    clip_norm: float | None,
    title: str,
    device: torch.device,
) -> dict[str, float]:
    """Train on the batches once: a step for each, along the gradient of its mean loss.

    The head changes in place. `clip_norm` is the largest Euclidean norm of a step's gradient; None:
    unlimited.

    Returns:
        Means over what was measured, by `MEANS`; zeros if there was no batch.

    Raises:
        ValueError: If the loss, its gradient or a weight is NaN or infinite.
    """
    head.to(device)
    sums, counts = np.zeros(len(MEANS)), np.zeros(len(MEANS))
    for images, roles in track(batches, total=len(batches), title=title):
        optimizer.zero_grad()
        descriptors = describe_distinct(head, features, images.tolist(), device)
        measured = measure(descriptors, roles.to(device))
        norm = take_step(head, optimizer, measured.losses.mean(), clip_norm=clip_norm)
        values = [value.detach().double() for value in (*measured, norm)]
        sums += [value.sum().item() for value in values]
        counts += [value.numel() for value in values]
    if not all(bool(torch.isfinite(weights).all()) for weights in head.parameters()):
        raise ValueError("a weight is NaN or infinite: try a smaller finetune.lr")
    return dict(zip(MEANS, (sums / np.maximum(counts, 1)).tolist(), strict=True))


def take_step(
    head: Head, optimizer: torch.optim.Optimizer, loss: Tensor, *, clip_norm: float | None
) -> Tensor:
    """Step along the gradient of a loss; the head's gradients are zero before.

    If the Euclidean norm of the gradient over all weights is above `clip_norm`, the gradient is
    scaled down to it.

    Returns:
        The gradient's norm before clipping.

    Raises:
        ValueError: If the loss or its gradient is NaN or infinite.
    """
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(head.parameters(), math.inf if clip_norm is None else clip_norm)
    if not (loss.isfinite() and norm.isfinite()):
        raise ValueError("the loss or its gradient is NaN or infinite: try a smaller finetune.lr")
    optimizer.step()
    return norm


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
