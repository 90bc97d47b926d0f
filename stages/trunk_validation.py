"""Stage trunk_validation: views of the held-out database images -> their local features."""

from __future__ import annotations

from pathlib import Path

from vpr.entry import run_stage

import numpy as np
import torch
from numpy.typing import NDArray

from stages.trunk import TrunkParams
from vpr.artefacts import built_aside
from vpr.device import find_device
from vpr.extraction import extract_features
from vpr.feature_writer import FeatureWriter
from vpr.images import list_images, read_image, read_size
from vpr.model_files import load_state
from vpr.parameters import load_param, load_params
from vpr.trunk import announce_features, load_trunk
from vpr.views import draw_view, num_held_out


def trunk_validation(*, images: Path, frozen: Path, features: Path) -> None:
    """Compute the local features of a view of each held-out image; nothing if none is held out.

    Args:
        images: Folder of the database's numbered images; the last of them are held out.
        frozen: State of the encoder's frozen modules.
        features: The folder to write.
    """
    params = load_params("trunk", TrunkParams)
    fraction = load_param("finetune.validation_fraction", float)
    every = list_images(images)
    held_out = every[len(every) - num_held_out(len(every), fraction) :]

    def read(file: Path) -> NDArray[np.uint8]:
        return draw_view(read_image(file, max_side_px=params.max_side_px), seed=int(file.stem))

    device = find_device()
    with built_aside(features) as (aside,), FeatureWriter(aside) as writer:
        precision = getattr(torch, params.precision)
        sizes = [read_size(file, max_side_px=params.max_side_px) for file in held_out]
        network = load_trunk(load_state(frozen), params.trainable_from, precision)
        announce_features(held_out, sizes, network, device)
        for maps in extract_features(network, held_out, sizes, read, device):
            writer.append(maps)


if __name__ == "__main__":
    run_stage(trunk_validation)
