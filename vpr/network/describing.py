"""From a photo to its descriptor: trunk, local features, head.

`locate`, the service, the Python API and, where no features are stored, the stages go through
`describe_photos`. Stored features go through `vpr.network.head`, with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.features.batches import one_by_one, positions_per_batch
from vpr.features.extraction import extract_features
from vpr.features.local_features import (
    LocalFeatures,
    batches_of_one_shape,
    features_of,
    position_rows,
)
from vpr.features.model import Model
from vpr.features.trunk import Trunk, check_features, load_trunk
from vpr.images.image_files import Photo, read_image, read_size
from vpr.images.known_photos import Form, KnownPhotos
from vpr.images.pixels import ScaleTo
from vpr.network.head import Head, extract_descriptors, load_head


@dataclass(frozen=True, eq=False)
class Network:
    """A whole model, ready to run.

    Args:
        trunk: Photo -> local features.
        head: Local features -> descriptor, in evaluation mode.
        scale_to: Size that photos are scaled to, as `read_image` takes it.
    """

    trunk: Trunk
    head: Head
    scale_to: ScaleTo
    device: torch.device


class Described(NamedTuple):
    """Neighbouring photos of one size.

    Args:
        descriptors: Unit rows (N, dim), float32.
    """

    features: LocalFeatures
    descriptors: NDArray[np.float32]


def load_network(
    model: Model, *, precision: torch.dtype, scale_to: ScaleTo, device: torch.device
) -> Network:
    """Make both parts of a model; the trunk computes and stores in `precision`.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    return Network(load_trunk(model, precision), load_head(model), scale_to, device)


def describe_photos(network: Network, photos: Sequence[Photo]) -> Iterator[Described]:
    """Describe photos, with the bits that stored local features would give.

    Trunk and head each see the batches that they would see in stages of their own, which need not
    be the same: features wait in memory until the head's batch is complete.

    Yields:
        Batches of photos in order.

    Raises:
        ValueError: If a photo does not decode, or is too small or too large; the message names it.
    """
    trunk, device = network.trunk, network.device
    sizes = [read_size(photo, scale_to=network.scale_to) for photo in photos]
    check_features(photos, sizes, trunk, device, stored=False)
    read = partial(read_image, scale_to=network.scale_to)
    batches = extract_features(trunk, photos, sizes, read, device)
    maps = chain.from_iterable(map(one_by_one, batches))
    shapes = np.array([trunk.map_shape(*size)[1:] for size in sizes], dtype=np.int64)
    for run in batches_of_one_shape(shapes, max_area=positions_per_batch(device)):
        rows = np.concatenate([position_rows(next(maps)) for _ in run])
        features = features_of(rows, shapes[run])
        (descriptors,) = extract_descriptors(network.head, features, range(len(run)), device)
        yield Described(features, descriptors)


def describe_unknown(
    network: Network, photos: Sequence[Photo], known: KnownPhotos
) -> Iterator[NDArray[np.float32]]:
    """Describe photos, except those whose descriptors are known.

    Yields:
        The unit row (1, dim) of each photo, float32, in order.
    """

    def compute(new: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        for batch in describe_photos(network, [photos[index] for index in new]):
            yield from np.split(batch.descriptors, len(batch.descriptors))

    return known.look_up("descriptors", photos, compute, ROW)


def _unpack_row(value: bytes) -> NDArray[np.float32]:
    return np.frombuffer(value, dtype=np.float32)[None]


ROW = Form(np.ndarray.tobytes, _unpack_row)
