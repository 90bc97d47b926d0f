"""Baselines for descriptors: a picture of 32x24 pixels, and a histogram of its colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Method = Callable[[Image.Image], NDArray[np.float64]]


def thumbnail(photo: Image.Image) -> NDArray[np.float64]:
    """The photo at 32x24 pixels, minus its mean, as one row."""
    values = np.asarray(photo.resize((32, 24)), dtype=np.float64).ravel()
    row: NDArray[np.float64] = values - values.mean()
    return row


def histogram(photo: Image.Image) -> NDArray[np.float64]:
    """Counts of 32 levels of each colour channel, as one row."""
    pixels = np.asarray(photo)
    channels = [np.histogram(pixels[..., i], 32, (0, 256))[0] for i in range(3)]
    return np.concatenate(channels).astype(np.float64)


def describe(files: Sequence[Path], method: Method) -> NDArray[np.float32]:
    """Unit rows (num_images, dim) of RGB photos."""
    rows = np.stack([method(Image.open(file)) for file in files])
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit
