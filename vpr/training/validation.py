"""Validation on a held-out stretch of the database, without the queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.recall import recall_at
from vpr.network.head import Head
from vpr.places.recordings import find_recordings, places_on_route
from vpr.training.data import TrainingData
from vpr.training.epochs import describe_database

DEPTH = 5  # N of the recall that is reported


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


def is_stalled(recalls: list[float], patience: int) -> bool:
    """Return whether the last `patience` epochs brought no better recall than those before.

    `recalls` are those before training and after each epoch.
    """
    return len(recalls) > patience and max(recalls[-patience:]) <= max(recalls[:-patience])


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
