"""Validation on a held-out stretch of the database: no query is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.recall import recall_at
from vpr.features.local_features import LocalFeatures
from vpr.network.head import Head
from vpr.training.data import TrainingData
from vpr.training.epochs import describe_database

DEPTH = 5  # N of the recall that is reported


@dataclass(frozen=True)
class Validation:
    """What a network is validated on between epochs.

    Args:
        views: Stored features of a view of each held-out image, the last images of the database.
        database: The whole database, the held-out images included.
    """

    views: LocalFeatures
    database: TrainingData

    def recall(self, head: Head, device: torch.device) -> float:
        """recall@5 of the views by the network as it is now."""
        views = describe_database(head, self.views, device)
        database = describe_database(head, self.database.features, device)
        return recall_of_views(views, database, self.database.positives)


def recall_of_views(
    views: NDArray[np.float32], database: NDArray[np.float32], positives: csr_array
) -> float:
    """recall@5 of views, in a database without the very image that a view was made of.

    With that image there, nearly every view would find it, whatever the network learnt.

    Args:
        views: Unit rows of views of the database's last images, shape (num_views, dim).
        database: Unit rows, shape (num_database, dim).
        positives: Database x database, self excluded; stored entries are the positives.

    Returns:
        A fraction of the views whose image has a positive.

    Raises:
        ValueError: If there is no such view.
    """
    first = len(database) - len(views)
    held_out = positives[first:]
    answerable = np.flatnonzero(np.diff(held_out.indptr))
    if len(answerable) == 0:
        raise ValueError(
            f"none of the {len(views)} held-out images has another database image within the "
            "radius, so they cannot validate: set finetune.validation_fraction to 0 or larger"
        )
    cosines = views @ database.T  # (num_views, num_database)
    cosines[np.arange(len(views)), first + np.arange(len(views))] = -np.inf
    ranking = np.argsort(-cosines, axis=1, kind="stable")[:, : min(DEPTH, len(database) - 1)]
    depth = ranking.shape[1]
    return recall_at([depth], ranking[answerable], held_out[answerable])[depth]
