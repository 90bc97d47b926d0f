"""What the doctor says about the machine: Python, packages, GPU, disk, and runs at work."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import faiss
import torch

from vpr.commands.doctor.finding import Finding
from vpr.features.encoder import Encoder, count_channels, map_shape, tensor_shapes
from vpr.images.image_files import Photo, count_bytes, read_size
from vpr.images.pixels import ScaleTo
from vpr.runtime.artefacts import SCRATCH, running_outs
from vpr.runtime.environment import ENV_FILE, installed_version
from vpr.runtime.parameters import read_yaml

OLDEST_PYTHON = (3, 11)
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


def check_runs(root: Path) -> Finding:
    """Report processes that are making outs, and interrupted runs that can resume.

    Args:
        root: The repository.
    """
    scratch = root / SCRATCH
    running = running_outs(scratch)
    if running:
        words = ", ".join(f"process {pid} is making {out}" for out, pid in running.items())
        advice = "wait for it; if no dvc is running, it is an orphan: end it with `kill` and its id"
        return Finding("runs", f"{words}: {advice}", ok=False)
    left = sorted(lock.with_suffix("") for lock in scratch.glob("*.lock"))
    if left:
        words = f"an interrupted run left {', '.join(map(str, left))}"
        advice = "`dvc repro` resumes from it or removes it"
        return Finding("runs", f"{words}: {advice}", ok=True, is_note=True)
    return Finding("runs", "none running, none interrupted", ok=True)


def check_python() -> Finding:
    """Check whether this Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    needed = ".".join(map(str, OLDEST_PYTHON))
    words = (
        found if sys.version_info >= OLDEST_PYTHON else f"{found} is too old: {needed} is needed"
    )
    return Finding("Python", words, ok=sys.version_info >= OLDEST_PYTHON)


def check_packages() -> Finding:
    """Check whether the packages of env.yaml are installed in those versions."""
    differing = [
        f"{name} {installed_version(name) or 'is missing'} (expected {version})"
        for name, version in read_yaml(ENV_FILE).items()
        if installed_version(name) != version
    ]
    if any("is missing" in words for words in differing):
        return Finding("packages", f"{', '.join(differing)}: run `make setup`", ok=False)
    words = f"{', '.join(differing)}: results may differ" if differing else "as in env.yaml"
    return Finding("packages", words, ok=True)
