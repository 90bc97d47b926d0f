"""Stores features batch by batch and says so, for tests that kill what computes them.

python -m tests.support.trunk_run PHOTOS FOLDER
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch

from vpr.encoders.vgg16 import random_weights
from vpr.features import batches, extraction, feature_writer
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import list_images, read_image, read_size

SIZE_PX = (48, 64)


class ToldWriter(feature_writer.FeatureWriter):
    """A writer that prints after each batch, and keeps each."""

    def append(self, maps: torch.Tensor) -> None:
        """Write a batch, and print how many images there are."""
        super().append(maps)
        print("stored", self.num_images, flush=True)


if __name__ == "__main__":
    batches.PIXELS_PER_BATCH["cpu"] = 2 * SIZE_PX[0] * SIZE_PX[1]  # two images
    feature_writer.SECONDS_BETWEEN_SAVES = 0.0
    extraction.FeatureWriter = ToldWriter  # type: ignore[misc]
    extraction.store_features(
        Path(sys.argv[2]),
        load_trunk(Model("vgg16", None, "conv5_1", random_weights(0)), torch.bfloat16),
        list_images(Path(sys.argv[1])),
        partial(read_image, scale_to=None),
        size=partial(read_size, scale_to=None),
        device=torch.device("cpu"),
    )
