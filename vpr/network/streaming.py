"""Images straight to descriptors, their local features never stored: for sets too large for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.batches import pixels_per_batch, positions_per_batch
from vpr.features.extraction import extract_features
from vpr.features.local_features import (
    LocalFeatures,
    batches_of_one_shape,
    position_rows,
    row_starts,
)
from vpr.features.trunk import Trunk, announce_features
from vpr.images.image_files import Photo, read_size
from vpr.images.pixels import ScaleTo
from vpr.network.describing import extract_descriptors
from vpr.network.head import Head


def stream_descriptors(
    trunk: Trunk,
    head: Head,
    images: Sequence[Photo],
    read: Callable[[Photo], NDArray[np.uint8]],
    *,
    scale_to: ScaleTo,
    done: int,
    device: torch.device,
) -> Iterator[NDArray[np.float32]]:
    """Compute descriptors of images, with the bits that stored features would give.

    Trunk and head each see the batches that they would see in stages of their own, which need not
    be the same: features wait in memory until the head's batch is complete.

    Args:
        trunk: The frozen part of the encoder.
        head: The trained part of the network, in evaluation mode.
        images: The files.
        read: Gives the pixels of a file, (H, W, 3) in RGB.
        scale_to: Size that `read` scales to.
        done: Images whose descriptors an interrupted run left; a sum of whole batches of this.
        device: Where to compute.

    Yields:
        Unit rows (N, dim) of neighbouring images of one size, in order, from `done` on.

    Raises:
        ValueError: If an image does not decode, or is too small or too large.
    """
    sizes = [read_size(image, scale_to=scale_to) for image in images]
    announce_features(images[done:], sizes[done:], trunk, device, stored=False)
    area = pixels_per_batch(device, values_per_pixel=trunk.maker.values_per_pixel)
    # The trunk's batch that holds the first image to be done, as a run from the start has it.
    start = max((run[0] for run in batches_of_one_shape(sizes, max_area=area) if run[0] <= done),
                default=0)  # fmt: skip
    maps = _one_by_one(extract_features(trunk, images[start:], sizes[start:], read, device))
    for _ in range(done - start):
        next(maps)
    shapes = np.array([trunk.map_shape(*size)[1:] for size in sizes[done:]], dtype=np.int64)
    for run in batches_of_one_shape(shapes, max_area=positions_per_batch(device)):
        rows = np.concatenate([position_rows(next(maps)) for _ in run])
        features = LocalFeatures(rows, shapes[run], row_starts(shapes[run]))
        yield from extract_descriptors(head, features, range(len(run)), device)


def _one_by_one(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    for maps in batches:
        yield from (maps[index : index + 1] for index in range(len(maps)))
