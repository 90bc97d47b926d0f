"""Which of NetVLAD's clusters wins each position of an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vpr.encoders.vgg16 import count_scales
from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape, load_features
from vpr.network.head import Head, load_head
from vpr.runtime.device import find_device
from vpr.runtime.tensors import load_state


def assign_positions(
    head: Head, features: LocalFeatures, device: torch.device, *, num_scales: int
) -> Iterator[NDArray[np.int64]]:
    """The cluster with the largest soft assignment at each position.

    Args:
        head: The trained part of the network.
        features: Stored features of one side.
        device: Where to compute.
        num_scales: Maps of one image that stand one below the other in the features.

    Yields:
        Shape (num_scales, H', W') for each image, in order.
    """
    head = head.to(device)
    for run in batches_of_one_shape(features.shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = head.encode(features.maps(run).to(device))
            won = head.pool.conv(functional.normalize(maps, dim=1)).argmax(dim=1)  # (N, S H', W')
        yield from won.unflatten(1, (num_scales, -1)).cpu().numpy()


def load_cluster_maps(
    features: Path, model: Path, *, trainable_from: int
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """The winning clusters of a side's images, by a stored model.

    Args:
        features: Folder of the side's local features.
        model: State of the whole model.
        trainable_from: Index of the head's first encoder module.

    Returns:
        Maps (num_scales, H', W'), one for each image, and whether a cluster is present in an
        image, that is wins at least one position of it, shape (num_images, K).
    """
    state, stored = load_state(model), load_features(features)
    head = load_head(state, trainable_from)
    maps = list(assign_positions(head, stored, find_device(), num_scales=count_scales(state)))
    present = np.zeros((len(maps), len(head.pool.centroids)), dtype=bool)
    for image, won in enumerate(maps):
        present[image, np.unique(won)] = True
    return maps, present
