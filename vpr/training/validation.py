"""Validation on a held-out stretch of the database: no query is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.recall import recall_at
from vpr.network.head import Head
from vpr.training.data import TrainingData
from vpr.training.epochs import describe_database

DEPTH = 5  # N of the recall that is reported


@dataclass(frozen=True)
class Validation:
    """What a network is validated on between epochs.

    Args:
        database: The whole database, the held-out images included.
        num_held_out: Images at its end that training does not see.
    """

    database: TrainingData
    num_held_out: int

    def recall(self, head: Head, device: torch.device) -> float:
        """Compute recall@5 of the held-out images by the network as it is now."""
        descriptors = describe_database(head, self.database.features, device)
        return held_out_recall(descriptors, self.database.positives, num_held_out=self.num_held_out)


def count_held_out(num_images: int, fraction: float) -> int:
    """Count the images at the end of the database that are held out of training.

    Args:
        num_images: Of the database, in the order of its route.
        fraction: Held out, rounded down to whole images.

    Raises:
        ValueError: If the fraction is not in [0, 0.5], or above 0 and yet no whole image.
    """
    held_out = math.floor(num_images * fraction)
    if not 0 <= fraction <= 0.5 or (fraction > 0 and held_out == 0):
        raise ValueError(
            f"finetune.validation_fraction = {fraction}: expected 0, or between "
            f"1/{num_images} (one image of {num_images}) and 0.5"
        )
    return held_out


def held_out_recall(
    descriptors: NDArray[np.float32], positives: csr_array, *, num_held_out: int
) -> float:
    """Compute recall@5 of the last images of the database, each searched in all others.

    Args:
        descriptors: Unit rows of the database, shape (num_database, dim).
        positives: Database x database, self excluded; stored entries are the positives.
        num_held_out: How many of the last images are searched for.

    Returns:
        A fraction of the held-out images that have a positive.

    Raises:
        ValueError: If there is no such image.
    """
    first = len(descriptors) - num_held_out
    held_out = positives[first:]
    answerable = np.flatnonzero(np.diff(held_out.indptr))
    if len(answerable) == 0:
        raise ValueError(
            f"none of the {num_held_out} held-out images has another database image within the "
            "radius, so they cannot validate: set finetune.validation_fraction to 0 or larger"
        )
    cosines = descriptors[first:] @ descriptors.T  # (num_held_out, num_database)
    cosines[np.arange(num_held_out), first + np.arange(num_held_out)] = -np.inf  # the image itself
    ranking = np.argsort(-cosines, axis=1, kind="stable")[:, : min(DEPTH, len(descriptors) - 1)]
    depth = ranking.shape[1]
    return recall_at([depth], ranking[answerable], held_out[answerable])[depth]
