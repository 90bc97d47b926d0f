"""Stage trunk, for each side: images -> local features of the frozen layers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

import torch

from vpr.features.extraction import store_features
from vpr.features.model import load_model
from vpr.features.params import TrunkParams
from vpr.features.trunk import known_by_trunk, load_trunk
from vpr.images.image_files import list_images, read_image, read_size
from vpr.images.known_parts import hash_photos
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint
from vpr.runtime.store import content_key


def trunk(*, images: Path, frozen: Path, features: Path) -> None:
    """Compute local features of one side's images, or of the first of them, once per image."""
    params, device = load_params("trunk", TrunkParams), find_device()
    # Loaded first: the keys cover the code that is imported.
    network = load_trunk(load_model(frozen), getattr(torch, params.precision))
    files = params.stored(list_images(images))
    digests = hash_photos(files)
    key = fingerprint(params, content_key(*digests), inputs=(frozen,), device=device)
    scale_to = params.scale_to
    known = known_by_trunk("features", network, scale_to, inputs=(frozen,), device=device)
    read = partial(read_image, scale_to=scale_to)
    with built_aside(features, key=key) as (aside,):
        store_features(
            aside, network, files, read,
            size=partial(read_size, scale_to=scale_to), device=device, known=known, digests=digests,
        )  # fmt: skip


if __name__ == "__main__":
    run_stage(trunk)
