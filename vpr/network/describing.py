"""Running the head: local features -> descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape
from vpr.network.head import Head


def extract_descriptors(
    head: Head, features: LocalFeatures, images: Sequence[int], device: torch.device
) -> Iterator[NDArray[np.float32]]:
    """Compute descriptors of images from their stored features.

    Args:
        head: The trained part of the network, in evaluation mode.
        features: Local features of at least those images.
        images: Indices of the images wanted.
        device: Where to compute.

    Yields:
        Unit rows (N, K * C) of neighbouring images of one size, in order.
    """
    head = head.to(device)
    shapes = features.shapes[np.asarray(images)]
    for run in batches_of_one_shape(shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = features.maps([images[position] for position in run]).to(device)
            yield head(maps).cpu().numpy()
