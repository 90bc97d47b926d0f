"""Running the network: images -> local features, local features -> descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.head import Head
from vpr.local_features import LocalFeatures, batches_of_one_shape
from vpr.progress import track

# Areas of one batch. On CPUs larger ones gain nothing and cost memory; results are the same.
PIXELS_PER_BATCH = {"cpu": 2 * 640 * 480, "cuda": 32 * 640 * 480}
POSITIONS_PER_BATCH = {"cpu": 4 * 40 * 30, "cuda": 64 * 40 * 30}


def extract_features(
    trunk: nn.Module,
    images: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    read: Callable[[Path], NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[Tensor]:
    """Local features of images; the next batch is decoded while this one is computed.

    Args:
        trunk: Makes feature maps of pixels, as `load_trunk` gives it.
        images: Files to read.
        sizes: Height and width that `read` gives for each, in pixels.
        read: Reads a file as RGB of shape (H, W, 3).
        device: Where to compute.

    Yields:
        Feature maps (N, C, H', W') of neighbouring images of one size, on the CPU, in order.
    """
    if not images:  # all were done before a kill
        return
    trunk = trunk.to(device)
    batches = list(batches_of_one_shape(sizes, max_area=PIXELS_PER_BATCH[device.type]))
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(_decode, [images[index] for index in batches[0]], read, device)
        steps = track(pairwise([*batches, []]), total=len(batches), title="local features")
        for _, upcoming in steps:
            pixels = waiting.result()
            if upcoming:
                waiting = pool.submit(_decode, [images[index] for index in upcoming], read, device)
            with torch.inference_mode():
                yield trunk(pixels.to(device)).cpu()


def _decode(
    images: Sequence[Path], read: Callable[[Path], NDArray[np.uint8]], device: torch.device
) -> Tensor:
    pixels = torch.from_numpy(np.stack([read(image) for image in images]))
    return pixels.pin_memory() if device.type == "cuda" else pixels


def extract_descriptors(
    head: Head, features: LocalFeatures, images: Sequence[int], device: torch.device
) -> Iterator[NDArray[np.float32]]:
    """Descriptors of images from their stored features.

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
    for run in batches_of_one_shape(shapes, max_area=POSITIONS_PER_BATCH[device.type]):
        with torch.inference_mode():
            maps = features.maps([images[position] for position in run]).to(device)
            yield head(maps).cpu().numpy()
