"""The data of training: the database only, and its end, which is held out and validates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.recall import recall_at
from vpr.features.local_features import LocalFeatures, load_features
from vpr.network.head import Head
from vpr.places.index import find_recordings, load_index, places_on_route
from vpr.places.positives import load_positives
from vpr.training.epochs import describe_database

DEPTH = 5  # N of the recall that is reported


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


@dataclass(frozen=True)
class Validation:
    """The images that a network is validated on between epochs.

    Args:
        database: The whole database, the held-out images included.
        num_held_out: Images at its end that training does not see.
        gap: Neighbours on each side, within its recording, that a held-out image must not find.
    """

    database: TrainingData
    num_held_out: int
    gap: int = 0

    def recall(self, head: Head, device: torch.device) -> float:
        """Compute recall@5 of the held-out images with the network's current weights."""
        descriptors = describe_database(head, self.database.features, device)
        return held_out_recall(
            descriptors, self.database.positives, num_held_out=self.num_held_out, gap=self.gap,
            sequence=self.database.sequence,
        )  # fmt: skip


def count_held_out(num_images: int, fraction: float) -> int:
    """Count the images at the end of the database that are held out of training.

    The fraction counts as written in decimals, and is rounded down to whole images.

    Raises:
        ValueError: If the fraction is not in [0, 0.5], or above 0 but less than one image.
    """
    held_out = math.floor(num_images * Fraction(str(fraction)))  # 0.29 of 100 is less in binary
    if not 0 <= fraction <= 0.5 or (fraction > 0 and held_out == 0):
        raise ValueError(
            f"finetune.validation_fraction = {fraction}: expected 0, or between "
            f"1/{num_images} (one image of {num_images}) and 0.5"
        )
    return held_out


def held_out_recall(
    descriptors: NDArray[np.float32],
    positives: csr_array,
    *,
    num_held_out: int,
    gap: int = 0,
    sequence: Sequence[str] | None = None,
) -> float:
    """Compute recall@5 of the last images of the database, each searched in all others.

    Args:
        descriptors: Unit rows of the database, shape (num_database, dim).
        positives: Database x database, self excluded; stored entries are the positives.
        num_held_out: Number of last images, which are searched for.
        gap: Images this near to the one searched for, in the order of their recording, are left out
            of the search, since they show nearly the same view; 0: only the image itself.
        sequence: Name of each image's recording; None: all images are of one.

    Returns:
        A fraction of the held-out images that have a positive beyond the gap.

    Raises:
        ValueError: If there is no such image.
    """
    first = len(descriptors) - num_held_out
    route = places_on_route(find_recordings(sequence, len(descriptors)), apart=gap)
    held_out = _beyond_gap(positives, first, route, gap)
    answerable = np.flatnonzero(np.diff(held_out.indptr))
    if len(answerable) == 0:
        raise ValueError(
            f"none of the {num_held_out} held-out images has another database image within the "
            f"radius and more than finetune.validation_gap = {gap} images away along the route, so "
            "they cannot validate: increase finetune.validation_fraction, or set it to 0, or "
            "decrease the gap"
        )
    cosines = descriptors[first:] @ descriptors.T  # (num_held_out, num_database)
    apart = np.abs(route - route[first:, None])
    cosines[apart <= gap] = -np.inf
    depth = min(DEPTH, len(descriptors) - 1)
    ranking = np.argsort(-cosines, axis=1, kind="stable")[:, :depth]
    return recall_at([depth], ranking[answerable], held_out[answerable])[depth]


def _beyond_gap(positives: csr_array, first: int, route: NDArray[np.int64], gap: int) -> csr_array:
    """Rows of the held-out images, without the positives within the gap; stored zeros stay."""
    held_out = positives[first:].tocoo()
    rows, columns = held_out.coords
    kept = np.abs(route[columns] - route[first + rows]) > gap
    return csr_array((held_out.data[kept], (rows[kept], columns[kept])), shape=held_out.shape)
