"""The current model applied to photos from anywhere, by the very steps of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.extraction import extract_features
from vpr.features.local_features import STORED, LocalFeatures, position_rows, row_starts
from vpr.features.model import Model
from vpr.features.trunk import Trunk, announce_features, load_trunk
from vpr.images.image_files import read_image, read_size
from vpr.images.pixels import ScaleTo
from vpr.network.describing import extract_descriptors
from vpr.network.head import Head, load_head

PHOTOS_AT_ONCE = 64  # whose local features lie in memory together,
BYTES_AT_ONCE = 2**30  # unless they are larger than this


@dataclass(frozen=True, eq=False)
class Network:
    """The current model, ready to run.

    Args:
        trunk: Makes local features.
        head: Makes descriptors of them.
        scale_to: Size that photos are scaled to, as `read_image` takes it.
        device: Where to compute.
    """

    trunk: Trunk
    head: Head
    scale_to: ScaleTo
    device: torch.device


def load_network(
    model: Model, *, precision: torch.dtype, scale_to: ScaleTo, device: torch.device
) -> Network:
    """Make both parts of a model, for as many photos as one likes.

    Args:
        model: The whole model.
        precision: Type that the trunk computes and stores in.
        scale_to: Size that photos are scaled to, as `read_image` takes it.
        device: Where to compute.
    """
    return Network(load_trunk(model, precision), load_head(model), scale_to, device)


def extract_photos(network: Network, photos: Sequence[Path]) -> Iterator[LocalFeatures]:
    """Compute local features of photos, with the bits that the trunk's stages would store.

    Args:
        network: The current model.
        photos: Image files of any size.

    Yields:
        Features of at most 64 photos and 1 GiB, or of a single larger photo, in order.

    Raises:
        ValueError: If a photo does not decode; the message names it.
    """
    trunk, scale_to, device = network.trunk, network.scale_to, network.device
    precision = trunk.precision
    sizes = [read_size(photo, scale_to=scale_to) for photo in photos]
    shapes = np.array([trunk.map_shape(*size) for size in sizes], dtype=np.int64)  # C, H, W
    read = partial(read_image, scale_to=scale_to)
    for block in _blocks((shapes.prod(axis=1) * precision.itemsize).tolist()):
        announce_features(photos[block], sizes[block], trunk, device)
        maps = extract_features(trunk, photos[block], sizes[block], read, device)
        yield _collect(maps, shapes[block], STORED[precision])


def _blocks(num_bytes: Sequence[int]) -> Iterator[slice]:
    """Split photos into neighbouring runs whose features fit into memory together."""
    start = held = 0
    for photo, size in enumerate(num_bytes):
        if photo > start and (photo - start == PHOTOS_AT_ONCE or held + size > BYTES_AT_ONCE):
            yield slice(start, photo)
            start, held = photo, 0
        held += size
    yield slice(start, len(num_bytes))


def _collect(
    maps: Iterable[Tensor], shapes: NDArray[np.int64], dtype: np.dtype[Any]
) -> LocalFeatures:
    """Collect the features of photos from their maps, C x H x W each as the shapes say."""
    starts = row_starts(shapes[:, 1:])
    rows = np.empty((starts[-1], shapes[0, 0]), dtype)
    done = 0
    for batch in map(position_rows, maps):
        rows[done : done + len(batch)] = batch
        done += len(batch)
    return LocalFeatures(rows, shapes[:, 1:], starts)


def describe_photos(network: Network, features: LocalFeatures) -> NDArray[np.float32]:
    """Unit descriptors of all photos of some local features, shape (num_images, K * C)."""
    every = range(len(features.shapes))
    return np.concatenate(list(extract_descriptors(network.head, features, every, network.device)))
