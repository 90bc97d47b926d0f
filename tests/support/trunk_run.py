"""Stores features batch by batch and says so, for tests that kill what computes them.

python -m tests.support.trunk_run PHOTOS FOLDER
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch

from vpr.encoders.vgg16 import random_weights
from vpr.features import batches, extraction
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images import known_parts
from vpr.images.image_files import list_images, read_image, read_size
from vpr.runtime.parts import save_part

SIZE_PX = (48, 64)


def tell_parts(*args: object, first: int, **options: object) -> list[Path]:
    """Write a part, and print how many images there are."""
    files = save_part(*args, first=first, **options)  # type: ignore[arg-type]
    print("stored", first + known_parts.MOST_PHOTOS, flush=True)
    return files


if __name__ == "__main__":
    batches.PIXELS_PER_BATCH["cpu"] = 2 * SIZE_PX[0] * SIZE_PX[1]  # two images
    known_parts.MOST_PHOTOS = 2
    known_parts.save_part = tell_parts  # type: ignore[assignment]
    extraction.store_features(
        Path(sys.argv[2]),
        load_trunk(Model("vgg16", None, "conv5_1", random_weights(0)), torch.bfloat16),
        list_images(Path(sys.argv[1])),
        partial(read_image, scale_to=None),
        size=partial(read_size, scale_to=None),
        device=torch.device("cpu"),
    )
