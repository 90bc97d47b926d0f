"""The stages trunk and extract on a dozen images of several sizes, in batches of a few.

python -m tests.support.streamed_stage FOLDER NAME STORE
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from stages.extract import extract
from stages.trunk import trunk
from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders import vgg16
from vpr.features import batches
from vpr.features.model import Model, load_model, save_model
from vpr.network.head import load_head

SIZES = [(48, 32)] * 7 + [(32, 64)] * 3 + [(48, 32)] * 2
# The trunk takes 3 and 2 of these at once, the head 4 and 3: neither is a multiple of the other.
PIXELS, POSITIONS = 3 * 48 * 32, 4 * 6


def make_inputs(folder: Path) -> None:
    """Write the images, and a model of random weights."""
    (folder / "env.yaml").write_text(f"torch: {torch.__version__.split('+')[0]}\n")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number, (width, height) in enumerate(SIZES):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{number:06d}.png")
    width = vgg16.CHANNELS[-1]
    state = vgg16.random_weights(0) | {
        "pool.conv.weight": torch.randn(4, width, 1, 1), "pool.centroids": torch.rand(4, width)
    }  # fmt: skip
    model = Model("vgg16", None, "conv5_1", state)
    save_model(folder / "model.pt", model)
    save_model(folder / "frozen.pt", model.parts()[0])
    assert isinstance(load_head(load_model(folder / "model.pt")).pool, NetVLAD)


def run_stages(name: str, store: str | int, precision: str = "bfloat16") -> NDArray[np.float32]:
    """Run both stages in the current folder, and give the descriptors, which lie in NAME.npy."""
    Path("params.yaml").write_text(
        "trunk: {encoder: vgg16, model: null, trainable_from: conv5_1, max_side_px: null, "
        f"image_size: null, precision: {precision}, store: {json.dumps(store)}}}\n"
    )
    trunk(images=Path("images"), frozen=Path("frozen.pt"), features=Path("features"))
    extract(
        features=Path("features"), images=Path("images"), model=Path("model.pt"),
        descriptors=Path(f"{name}.npy"),
    )  # fmt: skip
    return np.load(f"{name}.npy")


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    batches.PIXELS_PER_BATCH["cpu"], batches.POSITIONS_PER_BATCH["cpu"] = PIXELS, POSITIONS
    run_stages(sys.argv[2], "all" if sys.argv[3] == "all" else int(sys.argv[3]))
