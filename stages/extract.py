"""Stages extract_db and extract_query: local features -> one descriptor per image."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

import torch

from vpr.features.local_features import load_features
from vpr.features.model import load_model
from vpr.features.params import TrunkParams
from vpr.features.trunk import load_trunk
from vpr.images.image_files import list_images, read_image
from vpr.network.describing import extract_descriptors
from vpr.network.head import load_head
from vpr.network.streaming import stream_descriptors
from vpr.retrieval.descriptors import count_saved, save_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint


def extract(*, features: Path, images: Path, model: Path, descriptors: Path) -> None:
    """Compute one unit vector per image from its local features.

    Args:
        features: Folder of one side's local features.
        images: Folder of its images, which are looked at where their features are not stored.
        model: The whole model.
        descriptors: The array to write, shape (num_images, dim).
    """
    files, whole, device = list_images(images), load_model(model), find_device()
    head, stored = load_head(whole), load_features(features)
    if len(stored.shapes) == len(files):
        blocks = extract_descriptors(head, stored, range(len(files)), device)
        with built_aside(descriptors) as (aside,):
            save_descriptors(aside, blocks, num_images=len(files))
        return
    params = load_params("trunk", TrunkParams)
    read = partial(read_image, scale_to=params.scale_to)
    key = fingerprint(params, inputs=(images, model), device=device)
    with built_aside(descriptors, key=key) as (aside,):
        count = aside.with_name("done")
        blocks = stream_descriptors(
            load_trunk(whole, getattr(torch, params.precision)), head, files, read,
            scale_to=params.scale_to, done=count_saved(count), device=device,
        )  # fmt: skip
        save_descriptors(aside, blocks, num_images=len(files), count=count)


if __name__ == "__main__":
    run_stage(extract)
