"""Stage trunk_validation: views of the held-out database images -> their local features."""

from __future__ import annotations

from pathlib import Path

from vpr.runtime.entry import run_stage

import numpy as np
import torch
from numpy.typing import NDArray

from stages.trunk import TrunkParams
from vpr.features.extraction import store_features
from vpr.features.trunk import load_trunk
from vpr.places.images import list_images, read_image
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_param, load_params
from vpr.runtime.resuming import fingerprint
from vpr.runtime.tensors import load_state
from vpr.training.views import draw_view, num_held_out


def trunk_validation(*, images: Path, frozen: Path, features: Path) -> None:
    """Compute the local features of a view of each held-out image; nothing if none is held out.

    Args:
        images: Folder of the database's numbered images; the last of them are held out.
        frozen: State of the encoder's frozen modules.
        features: The folder to write.
    """
    params, device = load_params("trunk", TrunkParams), find_device()
    fraction = load_param("finetune.validation_fraction", float)
    every = list_images(images)
    held_out = every[len(every) - num_held_out(len(every), fraction) :]

    def read(file: Path) -> NDArray[np.uint8]:
        return draw_view(read_image(file, max_side_px=params.max_side_px), seed=int(file.stem))

    key = fingerprint(params, fraction, inputs=(images, frozen), device=device)
    with built_aside(features, key=key) as (aside,):
        network = load_trunk(
            load_state(frozen), params.trainable_from, getattr(torch, params.precision)
        )
        store_features(
            aside, network, held_out, read, max_side_px=params.max_side_px, device=device
        )


if __name__ == "__main__":
    run_stage(trunk_validation)
