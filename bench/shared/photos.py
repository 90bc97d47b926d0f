"""Inputs of the measurements: photos drawn from a seed, and random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from vpr.demo.drawing import draw_set
from vpr.encoders.vgg16 import random_weights
from vpr.features.model import Model

CUT = 24  # index of conv5_1, the first module that trains
NUM_CLUSTERS = 16
SIZE_PX = (640, 480)  # of Berlin's photos


def draw_photos(folder: Path, *, num_photos: int) -> list[Path]:
    """Photos of 640x480, as the demo set's stage `sample` draws them."""
    draw_set(
        folder, num_database=num_photos, num_query=2, num_off_map=0,
        length_m=max(300.0, 5.0 * num_photos), size_px=SIZE_PX, difficulty=0.2, seed=0,
    )  # fmt: skip
    return sorted((folder / "database").iterdir())


def random_model() -> Model:
    """A whole VGG16 with random weights, pool included; speed does not depend on them."""
    chance = torch.Generator().manual_seed(0)
    pool = {
        "pool.conv.weight": 5 * torch.randn(NUM_CLUSTERS, 512, 1, 1, generator=chance),
        "pool.centroids": 0.05 * torch.randn(NUM_CLUSTERS, 512, generator=chance),
    }
    return Model("vgg16", None, "conv5_1", random_weights(0) | pool)
