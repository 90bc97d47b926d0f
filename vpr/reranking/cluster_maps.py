"""Which of NetVLAD's clusters wins each position of an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape, load_features
from vpr.features.model import load_model
from vpr.network.head import Head, load_head
from vpr.runtime.device import find_device


def assign_positions(
    head: Head, features: LocalFeatures, device: torch.device
) -> Iterator[NDArray[np.int64]]:
    """Find the cluster with the largest soft assignment at each position.

    Args:
        head: The trained part of the network.
        features: Stored features of one side.
        device: Where to compute.

    Yields:
        Shape (num_scales, H', W') for each image, in order.
    """
    head = head.to(device)
    pool = head.netvlad()
    for run in batches_of_one_shape(features.shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = head.encode(features.maps(run).to(device))
            won = pool.assign(functional.normalize(maps, dim=1)).argmax(dim=1)  # (N, P)
        yield from won.view(len(won), head.num_scales, -1, maps.shape[3]).cpu().numpy()


def load_cluster_maps(
    features: Path, model: Path
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Find the winning clusters of a side's images, by a stored model.

    Args:
        features: Folder of the side's local features.
        model: The whole model.

    Returns:
        Maps (num_scales, H', W'), one for each image, and whether a cluster is present in an
        image, that is wins at least one position of it, shape (num_images, K).
    """
    head, stored = load_head(load_model(model)), load_features(features)
    clusters = head.netvlad().centroids
    maps = list(assign_positions(head, stored, find_device()))
    present = np.zeros((len(maps), len(clusters)), dtype=bool)
    for image, won in enumerate(maps):
        present[image, np.unique(won)] = True
    return maps, present
