"""Stages extract_db and extract_query: local features -> one descriptor per image."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

import torch

from vpr.features.local_features import load_features
from vpr.features.model import load_model
from vpr.features.params import TrunkParams
from vpr.features.trunk import known_by_trunk
from vpr.images.image_files import list_images
from vpr.network.describing import describe_unknown, load_network
from vpr.network.head import extract_descriptors, load_head
from vpr.retrieval.descriptors import count_saved, save_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint


def extract(*, features: Path, images: Path, model: Path, descriptors: Path) -> None:
    """Compute one unit vector per image from its local features.

    If `features` does not hold all of `images`, the whole network runs on the images instead. The
    descriptors have shape (num_images, dim).
    """
    files, whole, device = list_images(images), load_model(model), find_device()
    stored = load_features(features)
    if len(stored.shapes) == len(files):
        blocks = extract_descriptors(load_head(whole), stored, range(len(files)), device)
        with built_aside(descriptors) as (aside,):
            save_descriptors(aside, blocks, num_images=len(files))
        return
    params = load_params("trunk", TrunkParams)
    network = load_network(
        whole, precision=getattr(torch, params.precision), scale_to=params.scale_to, device=device
    )
    key = fingerprint(params, inputs=(images, model), device=device)
    known = known_by_trunk(
        "descriptors", network.trunk, params.scale_to, inputs=(model,), device=device
    )
    with built_aside(descriptors, key=key) as (aside,):
        count = aside.with_name("done")
        rows = describe_unknown(network, files[count_saved(count) :], known)
        save_descriptors(aside, rows, num_images=len(files), count=count)


if __name__ == "__main__":
    run_stage(extract)
