"""Local features of images by the trunk, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.extraction import extract_features
from vpr.feature_writer import FeatureWriter
from vpr.images import read_size
from vpr.trunk import Trunk, announce_features


def store_features(
    folder: Path,
    trunk: Trunk,
    images: Sequence[Path],
    read: Callable[[Path], NDArray[np.uint8]],
    *,
    max_side_px: int | None,
    device: torch.device,
) -> None:
    """Compute the features of images, behind those that an interrupted run left in the folder.

    Args:
        folder: The folder to write, or to go on with.
        trunk: The frozen part of the encoder.
        images: The files.
        read: Gives the pixels of a file, (H, W, 3) in RGB.
        max_side_px: Longer side that `read` scales larger images down to; None: it does not.
        device: Where to compute.

    Raises:
        ValueError: If an image does not decode, or is too small or too large.
        OSError: If the disk does not hold the features.
    """
    with FeatureWriter(folder) as writer:
        if writer.num_images:
            print(f"going on after the {writer.num_images} images that were done")
        left = images[writer.num_images :]
        sizes = [read_size(image, max_side_px=max_side_px) for image in left]
        announce_features(left, sizes, trunk, device)
        for maps in extract_features(trunk, left, sizes, read, device):
            writer.append(maps)
