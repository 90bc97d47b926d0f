"""Running the trunk: images -> local features."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.batches import pixels_per_batch
from vpr.features.feature_writer import FeatureWriter
from vpr.features.local_features import batches_of_one_shape
from vpr.features.trunk import Trunk, announce_features
from vpr.places.images import read_size
from vpr.places.pixels import ScaleTo
from vpr.runtime.progress import track

BATCHES_AHEAD = 2  # decoded while one is computed


def store_features(
    folder: Path,
    trunk: Trunk,
    images: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    *,
    scale_to: ScaleTo,
    device: torch.device,
) -> None:
    """Compute the features of images, after those that an interrupted run left in the folder.

    Args:
        folder: The folder to write, or to resume in.
        trunk: The frozen part of the encoder.
        images: The files.
        read: Gives the pixels of a file, (H, W, 3) in RGB.
        scale_to: Size that `read` scales to.
        device: Where to compute.

    Raises:
        ValueError: If an image does not decode, or is too small or too large.
        OSError: If the disk does not hold the features.
    """
    with FeatureWriter(folder) as writer:
        if writer.num_images:
            print(f"resuming after the {writer.num_images} images that were done")
        left = images[writer.num_images :]
        sizes = [read_size(image, scale_to=scale_to) for image in left]
        announce_features(left, sizes, trunk, device)
        for maps in extract_features(trunk, left, sizes, read, device):
            writer.append(maps)


def extract_features(
    trunk: Trunk,
    images: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    read: Callable[[Path], NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[Tensor]:
    """Local features of images; the next batches are decoded while this one is computed.

    Args:
        trunk: Makes feature maps of pixels, as `load_trunk` gives it.
        images: Files to read.
        sizes: Height and width that `read` gives for each, in pixels.
        read: Reads a file as RGB of shape (H, W, 3).
        device: Where to compute.

    Yields:
        Feature maps (N, C, H', W') of neighbouring images of one size, on the CPU, in order.

    Raises:
        ValueError: If an image does not decode, or its features are not finite.
    """
    if not images:  # all were done before a kill
        return
    trunk = trunk.to(device)
    area = pixels_per_batch(device, values_per_pixel=trunk.maker.values_per_pixel)
    batches = list(batches_of_one_shape(sizes, max_area=area))
    decoded = _decoded([[images[index] for index in batch] for batch in batches], read, device)
    steps = track(zip(batches, decoded, strict=True), total=len(batches), title="local features")
    for batch, pixels in steps:
        with torch.inference_mode():
            maps = trunk(pixels.to(device, non_blocking=True))
            if not bool(torch.isfinite(maps).all()):
                raise ValueError(
                    f"{images[batch[0]]} or one of the next {len(batch) - 1}: local features "
                    f"exceed the range of {maps.dtype}: take another trunk.precision or weights"
                )
            yield maps.cpu()


def count_decoders(device: torch.device) -> int:
    """Count threads that decode: one beside a CPU, which computes on all cores; all by a GPU."""
    return (os.cpu_count() or 1) if device.type == "cuda" else 1


def _decoded(
    batches: Sequence[Sequence[Path]],
    read: Callable[[Path], NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[Tensor]:
    """Pixels (N, H, W, 3) of batch after batch; on the way to a GPU in pinned memory."""
    on_gpu = device.type == "cuda"
    waiting: deque[list[Future[NDArray[np.uint8]]]] = deque()
    upcoming = iter(batches)
    with ThreadPoolExecutor(count_decoders(device)) as pool:
        for _ in batches:
            while len(waiting) <= BATCHES_AHEAD and (batch := next(upcoming, None)):
                waiting.append([pool.submit(read, image) for image in batch])
            pixels = torch.from_numpy(np.stack([one.result() for one in waiting.popleft()]))
            yield pixels.pin_memory() if on_gpu else pixels
