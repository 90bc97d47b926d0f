"""The current model applied to photos from anywhere, by the very steps of the pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.features.extraction import store_features
from vpr.features.local_features import LocalFeatures, load_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.network.describing import extract_descriptors
from vpr.network.head import Head
from vpr.places.images import read_image

PHOTOS_AT_ONCE = 64  # whose local features lie on the disk together


def extract_photos(
    model: Model,
    photos: Sequence[Path],
    *,
    precision: torch.dtype,
    max_side_px: int | None,
    device: torch.device,
) -> Iterator[LocalFeatures]:
    """Stored local features of photos, as the trunk's stages store them.

    Args:
        model: The whole model.
        photos: Image files of any size.
        precision: Type that the trunk computes and stores in.
        max_side_px: Larger photos are scaled down to it.
        device: Where to compute.

    Yields:
        Features of at most 64 photos, in order; valid until the next are asked for.

    Raises:
        ValueError: If a photo does not decode; the message names it.
    """
    trunk = load_trunk(model, precision)
    read = partial(read_image, max_side_px=max_side_px)
    for start in range(0, len(photos), PHOTOS_AT_ONCE):
        batch = photos[start : start + PHOTOS_AT_ONCE]
        with tempfile.TemporaryDirectory(prefix="vpr-locate-") as folder:
            features = Path(folder) / "features"
            store_features(features, trunk, batch, read, max_side_px=max_side_px, device=device)
            yield load_features(features)


def describe_photos(
    head: Head, features: LocalFeatures, device: torch.device
) -> NDArray[np.float32]:
    """Unit descriptors of all images of some stored features, shape (num_images, K * C)."""
    every = range(len(features.shapes))
    return np.concatenate(list(extract_descriptors(head, features, every, device)))
