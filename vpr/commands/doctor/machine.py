"""What the doctor says about the machine: its GPU and its disk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import faiss
import torch

from vpr.commands.doctor.finding import Finding
from vpr.features.encoder import Encoder, count_channels, map_shape, tensor_shapes
from vpr.images.image_files import Photo, count_bytes, read_size
from vpr.images.pixels import ScaleTo

FLOAT_BYTES = 4
NUM_WRITTEN = {"networks": 2, "descriptors": 2}  # at the start and trained; plain and whitened


def check_torch_gpu() -> Finding:
    """Report the device that the network runs on."""
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        words = f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB"
    else:
        words = f"none: the network runs on the CPU ({torch.get_num_threads()} threads)"
    return Finding("GPU for torch", words, ok=True)


def check_faiss_gpu() -> Finding:
    """Report the device that the search runs on."""
    count = faiss.get_num_gpus()
    words = f"{count} found" if count else "none: the search runs on the CPU, equally exact"
    return Finding("GPU for faiss", words, ok=True)


def check_disk(
    photos: Iterable[Photo],
    *,
    maker: Encoder,
    split: str,
    precision: torch.dtype,
    scale_to: ScaleTo,
    store: Literal["all"] | int,
    descriptor_width: Callable[[int], int],
) -> Finding:
    """Check whether the disk holds what a run from nothing writes, and DVC's copy of it.

    Args:
        photos: The images of both sides, each one that decodes.
        maker: The encoder.
        split: First layer that trains.
        precision: Type of the stored features.
        scale_to: Size that images are scaled to, as `read_image` takes it.
        store: Images of each side whose features are stored, as `trunk.store` has it.
        descriptor_width: Computes the values of a descriptor from the channels of features.
    """
    dim = NUM_WRITTEN["descriptors"] * descriptor_width(count_channels(maker))
    num_values = sum(map(math.prod, tensor_shapes(maker).values()))
    num_bytes = NUM_WRITTEN["networks"] * FLOAT_BYTES * num_values
    most_stored = math.inf if store == "all" else 2 * store  # of both sides
    for number, photo in enumerate(photos):
        num_bytes += count_bytes(photo) + dim * FLOAT_BYTES
        if number < most_stored:
            size = read_size(photo, scale_to=scale_to)
            num_bytes += math.prod(map_shape(maker, split, *size)) * precision.itemsize
    free = shutil.disk_usage(Path()).free
    words = (
        f"a run from nothing writes about {2 * num_bytes / 1e9:.2f} GB, DVC's copies included; "
        f"{free / 1e9:.2f} GB are free"
    )
    if free < 2 * num_bytes:
        return Finding("disk", f"{words}: make room, or see `dvc gc --help`", ok=False)
    return Finding("disk", words, ok=True)
