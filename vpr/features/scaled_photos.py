"""Photos at a scale of their size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr.images.image_files import Photo, read_image, read_size
from vpr.images.pixels import ScaleTo


def size_at(photo: Photo, *, scale: float, scale_to: ScaleTo) -> tuple[int, int]:
    """Height and width in pixels that `read_at` gives, from the file's header alone."""
    height, width = read_size(photo, scale_to=scale_to)
    return max(1, round(scale * height)), max(1, round(scale * width))


def read_at(photo: Photo, *, scale: float, scale_to: ScaleTo) -> NDArray[np.uint8]:
    """Decode a photo at a scale of the size that it has otherwise.

    Args:
        photo: The image.
        scale: Of its height and width.
        scale_to: What gives the size at scale 1, as `read_image` takes it.

    Returns:
        Shape (H, W, 3), resized once, from the photo as it is stored.
    """
    return read_image(photo, scale_to=size_at(photo, scale=scale, scale_to=scale_to))
