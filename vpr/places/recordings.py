"""The recordings of a side: which of its images were taken one after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Recording = NDArray[np.int64]  # indices of its images, ascending, in the order of the route


def find_recordings(sequence: Sequence[str] | None, num_images: int) -> list[Recording]:
    """Group images by the name of their recording, in the order of the index.

    Rows of one recording need not be neighbours: two cameras may alternate.

    Args:
        sequence: Name of each image's recording; None: all belong to one.
        num_images: Number of images.

    Returns:
        The recordings by their first image; every image is in exactly one.

    Raises:
        ValueError: If there are not as many names.
    """
    if sequence is not None and len(sequence) != num_images:
        raise ValueError(f"{num_images} images, but the index names {len(sequence)} recordings")
    images: dict[str, list[int]] = {}
    for image, name in enumerate(sequence or [""] * num_images):
        images.setdefault(name, []).append(image)
    return [np.array(those, dtype=np.int64) for those in images.values()]


def places_on_route(recordings: Sequence[Recording], *, apart: int) -> NDArray[np.int64]:
    """Number images along their recordings, one recording after another.

    Args:
        recordings: They hold every image once.
        apart: Numbers left out between recordings, so that images no farther apart than this are
            of one recording.

    Returns:
        Shape (num_images,); counts 0, 1, 2, ... where there is one recording.
    """
    places = np.empty(sum(map(len, recordings)), dtype=np.int64)
    start = 0
    for images in recordings:
        places[images] = start + np.arange(len(images))
        start += len(images) + apart
    return places
