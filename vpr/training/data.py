"""The data that training sees: the database only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.features.local_features import LocalFeatures, load_features
from vpr.places.index import load_index
from vpr.places.positives import load_positives


@dataclass(frozen=True)
class TrainingData:
    """Database images with their coordinates.

    Args:
        positives: Image x image, self excluded; stored entries are the positives.
        coordinates: Easting and northing in metres, shape (num_images, 2).
        sequence: Name of each image's recording; None: all images are of one.
    """

    features: LocalFeatures
    positives: csr_array
    coordinates: NDArray[np.float64]
    sequence: Sequence[str] | None = None

    def without_last(self, num_images: int) -> TrainingData:
        """Leave out the last images, which are held out."""
        left = len(self.coordinates) - num_images
        return TrainingData(
            self.features.first(left), self.positives[:left, :left], self.coordinates[:left],
            None if self.sequence is None else self.sequence[:left],
        )  # fmt: skip


def load_training_data(*, features: Path, positives: Path, index: Path) -> TrainingData:
    """Load the part of the database whose local features are stored.

    Raises:
        ValueError: If a file is damaged, or the files are of different images.
    """
    stored, near, images = load_features(features), load_positives(positives), load_index(index)
    places = images.coordinates
    num_stored = len(stored.shapes)
    if num_stored > len(places) or not near.shape[0] == near.shape[1] == len(places):
        raise ValueError(
            f"{features} is of {num_stored} images, {positives} of {near.shape[0]} x "
            f"{near.shape[1]}, {index} of {len(places)}: they come from different data sets"
        )
    if num_stored < len(places):
        print(
            f"training uses the first {num_stored} of {len(places)} images: only their features "
            "are stored"
        )
    return TrainingData(
        stored, near[:num_stored, :num_stored], places[:num_stored],
        None if images.sequence is None else images.sequence[:num_stored],
    )  # fmt: skip
