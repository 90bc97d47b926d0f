"""Running the trunk: images -> local features."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.console.progress import track
from vpr.features.batches import one_by_one, run_batch
from vpr.features.local_features import NAMES, NO_IMAGES, arrays_of
from vpr.features.trunk import Trunk, check_features
from vpr.images.image_files import Photo, encoded_image, path_of
from vpr.images.known_parts import Work, write_parts
from vpr.images.known_photos import UNKNOWN, KnownPhotos
from vpr.runtime.ordered_map import ordered_map
from vpr.runtime.parts import Arrays

BATCHES_AHEAD = 2  # decoded while one is computed


def store_features(
    folder: Path,
    trunk: Trunk,
    images: Sequence[Photo],
    read: Callable[[Photo], NDArray[np.uint8]],
    *,
    size: Callable[[Photo], tuple[int, int]],
    device: torch.device,
    known: KnownPhotos = UNKNOWN,
    digests: Sequence[bytes] | None = None,
) -> None:
    """Compute the features of images, except those that are known or that the folder has already.

    `read` returns the RGB pixels of a file, (H, W, 3), and `size` their height and width without
    decoding; `digests` are those of `write_parts`.

    Raises:
        ValueError: If an image does not decode, or is too small or too large.
        OSError: If the disk does not hold the features.
    """

    def compute(new: Sequence[int]) -> Iterator[Arrays]:
        photos = [images[index] for index in new]
        sizes = [size(photo) for photo in photos]
        check_features(photos, sizes, trunk, device)
        for maps in extract_features(trunk, photos, sizes, read, device):
            yield from map(arrays_of, one_by_one(maps))

    work = Work("local features", folder, NAMES, NO_IMAGES, compute)
    write_parts(work, images, known, digests)


def extract_features(
    trunk: Trunk,
    images: Sequence[Photo],
    sizes: Sequence[tuple[int, int]],
    read: Callable[[Photo], NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[Tensor]:
    """Compute local features, in this process or over a cluster, see `vpr.runtime.ordered_map`.

    `read` returns the RGB pixels of a file, (H, W, 3), whose heights and widths are `sizes`.

    Yields:
        Feature maps (N, C, H', W') of neighbouring images of one size, on the CPU, in order.

    Raises:
        ValueError: If an image does not decode, or its features are not finite.
    """
    if not images:  # all were done before a kill
        return
    if len(images) == 1:  # of a request: threads that read ahead would cost more than they save
        pixels = torch.from_numpy(np.stack([read(images[0])]))  # a copy: it must be writable
        yield _compute(trunk.to(device), images, pixels, device)
        return
    batches = list(trunk.batches(sizes, device))
    maps = ordered_map(
        make_extractor, (trunk, read, device),
        ([images[index] for index in batch] for batch in batches),
        pack=_encoded, uses_gpu=device.type == "cuda",
    )  # fmt: skip
    yield from track(maps, total=len(batches), title="local features")


def make_extractor(
    trunk: Trunk, read: Callable[[Photo], NDArray[np.uint8]], device: torch.device
) -> Callable[[Iterable[Sequence[Photo]]], Iterator[Tensor]]:
    """Make a function that computes maps batch by batch, and decodes the next ones meanwhile."""
    trunk = trunk.to(device)

    def extract(batches: Iterable[Sequence[Photo]]) -> Iterator[Tensor]:
        for batch, pixels in _decoded(batches, read, device):
            yield _compute(trunk, batch, pixels, device)

    return extract


def _compute(trunk: Trunk, batch: Sequence[Photo], pixels: Tensor, device: torch.device) -> Tensor:
    with torch.inference_mode():
        maps = run_batch(trunk, pixels.to(device, non_blocking=True))
        if not bool(torch.isfinite(maps).all()):
            raise ValueError(
                f"{path_of(batch[0])} or one of the next {len(batch) - 1}: local features "
                f"exceed the range of {maps.dtype}: choose another trunk.precision or weights"
            )
        return maps.cpu()


def count_decoders(device: torch.device) -> int:
    """Count decoding threads: one on a CPU, whose cores compute; one per core with a GPU."""
    return (os.cpu_count() or 1) if device.type == "cuda" else 1


def _decoded(
    batches: Iterable[Sequence[Photo]],
    read: Callable[[Photo], NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[tuple[Sequence[Photo], Tensor]]:
    """Yield batches with their pixels (N, H, W, 3), in pinned memory if they go to a GPU."""
    on_gpu = device.type == "cuda"
    waiting: deque[tuple[Sequence[Photo], list[Future[NDArray[np.uint8]]]]] = deque()
    upcoming = iter(batches)
    with ThreadPoolExecutor(count_decoders(device)) as pool:
        while True:
            while len(waiting) <= BATCHES_AHEAD and (batch := next(upcoming, None)):
                waiting.append((batch, [pool.submit(read, image) for image in batch]))
            if not waiting:
                return
            batch, parts = waiting.popleft()
            pixels = torch.from_numpy(np.stack([part.result() for part in parts]))
            yield batch, pixels.pin_memory() if on_gpu else pixels


def _encoded(batch: Sequence[Photo]) -> Sequence[Photo]:
    return [encoded_image(image) for image in batch]
