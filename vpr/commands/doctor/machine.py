"""What the doctor says about the machine: packages, GPU, disk, and runs at work."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import faiss
import torch

from vpr.datasets.findings import Finding, Level
from vpr.features.encoder import (
    BringsAggregator,
    count_channels,
    find_split,
    load_encoder,
    map_shape,
    tensor_shapes,
)
from vpr.features.params import TrunkParams
from vpr.images.image_files import Photo, count_bytes, read_size
from vpr.network.aggregator import descriptor_width
from vpr.runtime.artefacts import SCRATCH, running_outs
from vpr.runtime.environment import ENV_FILE, installed_version
from vpr.runtime.parameters import read_yaml
from vpr.training.params import FinetuneParams

FLOAT_BYTES = 4


def check_packages() -> Finding:
    """Check whether the packages of env.yaml are installed in those versions."""
    expected = read_yaml(ENV_FILE)
    installed = {name: installed_version(name) for name in expected}
    differing = ", ".join(
        f"{name} {found or 'is missing'} (expected {expected[name]})"
        for name, found in installed.items()
        if found != expected[name]
    )
    if None in installed.values():
        return Finding("packages", f"{differing}: run `make setup`", Level.REFUSED)
    if differing:
        return Finding("packages", f"{differing}: results may differ")
    return Finding("packages", "as in env.yaml")


def check_gpu() -> Finding:
    """Report the devices that the network and the search run on."""
    network = f"the CPU ({torch.get_num_threads()} threads)"
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        network = f"{torch.cuda.get_device_name(0)} ({memory:.0f} GB)"
    count = faiss.get_num_gpus()
    search = f"{count} of faiss" if count else "the CPU, equally exact"
    return Finding("GPU", f"the network runs on {network}, the search on {search}")


def check_runs() -> Finding:
    """Report processes that are making outs, and interrupted runs that can resume."""
    if running := running_outs():
        words = ", ".join(f"process {pid} is making {out}" for out, pid in running.items())
        advice = "wait for it; if no dvc is running, it is an orphan: end it with `kill` and its id"
        return Finding("runs", f"{words}: {advice}", Level.REFUSED)
    if left := sorted(str(lock.with_suffix("")) for lock in SCRATCH.glob("*.lock")):
        words = f"an interrupted run left {', '.join(left)}"
        return Finding("runs", f"{words}: `dvc repro` resumes from it or removes it", Level.NOTE)
    return Finding("runs", "none running, none interrupted")


def check_disk(photos: Iterable[Photo], trunk: TrunkParams, tuned: FinetuneParams) -> Finding:
    """Check whether the disk holds what a run from nothing writes, and DVC's copy of it.

    Args:
        photos: The images of both sides, each one that decodes.
        trunk: Encoder, and which of its features are stored.
        tuned: Aggregator, which determines the width of descriptors.
    """
    encoder = load_encoder(trunk.encoder, trunk.model)
    split = find_split(trunk.encoder, trunk.model, trunk.trainable_from)
    width = descriptor_width(
        tuned.aggregator, count_channels(encoder), num_clusters=tuned.num_clusters,
        out_dim=encoder.dim if isinstance(encoder, BringsAggregator) else tuned.descriptor_dim,
    )  # fmt: skip
    value_bytes = getattr(torch, trunk.precision).itemsize
    # Networks at the start and trained; descriptors plain and whitened.
    num_bytes = 2 * FLOAT_BYTES * sum(map(math.prod, tensor_shapes(encoder).values()))
    most_stored = math.inf if trunk.store == "all" else 2 * trunk.store  # of both sides
    for number, photo in enumerate(photos):
        num_bytes += count_bytes(photo) + 2 * FLOAT_BYTES * width
        if number < most_stored:
            size = read_size(photo, scale_to=trunk.scale_to)
            num_bytes += math.prod(map_shape(encoder, split, *size)) * value_bytes
    needed, free = 2 * num_bytes, shutil.disk_usage(Path()).free
    words = (
        f"a run from nothing writes about {needed / 1e9:.2f} GB, DVC's copies included; "
        f"{free / 1e9:.2f} GB are free"
    )
    if free < needed:
        return Finding("disk", f"{words}: make room, or see `dvc gc --help`", Level.REFUSED)
    return Finding("disk", words)
