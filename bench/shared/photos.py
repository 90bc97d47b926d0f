"""What the measurements look at: photos drawn from a seed, and random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vpr.demo.drawing import draw_set
from vpr.weights.random_weights import random_encoder

CUT = 24  # conv5_1: what the challenge trains begins there
NUM_CLUSTERS = 16
SIZE_PX = (640, 480)  # of Berlin's photos


def draw_photos(folder: Path, *, num_photos: int) -> list[Path]:
    """Photos of 640x480, as the demo set's stage `sample` draws them."""
    draw_set(
        folder, num_database=num_photos, num_query=2, length_m=max(300.0, 5.0 * num_photos),
        size_px=SIZE_PX, difficulty=0.2, seed=0,
    )  # fmt: skip
    return sorted((folder / "database").iterdir())


def random_model() -> dict[str, Tensor]:
    """A whole model of random weights, pool included; speed does not depend on them."""
    chance = torch.Generator().manual_seed(0)
    pool = {
        "pool.conv.weight": 5 * torch.randn(NUM_CLUSTERS, 512, 1, 1, generator=chance),
        "pool.centroids": 0.05 * torch.randn(NUM_CLUSTERS, 512, generator=chance),
    }
    return random_encoder(0) | pool
