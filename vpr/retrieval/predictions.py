"""Files of rankings: predictions, the database ranked for each query, and the challenge's form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.runtime.npz import load_arrays, save_arrays

PARTS = ("indices", "distances", "num_database")
MAX_DISTANCE = 2.001  # the largest of unit vectors, plus rounding
CHALLENGE_DEPTH = 20


@dataclass(frozen=True)
class Predictions:
    """Ranked database images of each query.

    Args:
        indices: Database indices, best first, shape (num_queries, top_k).
        distances: Euclidean distances between the descriptors, in [0, 2], same shape; ascending
            unless more than the distances made the order.
        num_database: Number of images that were ranked.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    num_database: int


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions; equal ones give equal bytes."""
    arrays = (predictions.indices, predictions.distances, np.int64(predictions.num_database))
    save_arrays(path, dict(zip(PARTS, arrays, strict=True)))


def load_retrieval(path: Path) -> Predictions:
    """Read a ranking by distance.

    Raises:
        ValueError: If the file is damaged, or a row is not a ranking of database images by
            distance.
    """
    predictions = load_predictions(path)
    if not bool((np.diff(predictions.distances, axis=1) >= 0).all()):
        raise ValueError(f"{path}: expected distances ascending in each row")
    return predictions


def load_predictions(path: Path) -> Predictions:
    """Read a ranking whose order may come from more than the distances.

    Raises:
        ValueError: If the file is damaged, or a row is not a ranking of database images.
    """
    indices, distances, count = load_arrays(path, PARTS, what="a file of predictions")
    if count.shape != () or count.dtype.kind not in "iu":
        raise ValueError(f"{path}: num_database: expected one number, found {count.tolist()!r}")
    predictions = Predictions(indices, distances, int(count))
    _check(predictions, path)
    return predictions


def _check(predictions: Predictions, path: Path) -> None:
    indices, distances = predictions.indices, predictions.distances
    if indices.ndim != 2 or indices.dtype != np.int64 or indices.size == 0:
        raise ValueError(
            f"{path}: expected indices (num_queries, top_k) of int64, found {indices.shape} of "
            f"{indices.dtype}"
        )
    if distances.shape != indices.shape or distances.dtype != np.float32:
        raise ValueError(
            f"{path}: expected distances {indices.shape} of float32, found {distances.shape} of "
            f"{distances.dtype}"
        )
    outside = distances[~((distances >= 0) & (distances <= MAX_DISTANCE))]
    if len(outside):
        raise ValueError(f"{path}: expected distances of unit vectors, 0 to 2, found {outside[0]}")
    check_ranking(indices, predictions.num_database, source=path)


def check_ranking(
    indices: Iterable[NDArray[np.int64]], num_database: int, *, source: object
) -> None:
    """Check that every row of indices names distinct database images.

    Raises:
        ValueError: If an index is out of range or occurs twice in a row; the message names the row.
    """
    for row, ranking in enumerate(indices):
        outside = ranking[(ranking < 0) | (ranking >= num_database)]
        if len(outside):
            raise ValueError(
                f"{source}: query {row}: index {outside[0]} is not one of the {num_database} "
                "database images"
            )
        if len(np.unique(ranking)) != len(ranking):
            raise ValueError(f"{source}: query {row}: the ranking has a database image twice")


def save_submission(path: Path, predictions: Predictions) -> None:
    """Write `{"Query": [{"id": 0, "positive": [...]}, ...]}`, best first, indented by 4.

    Ids are rows of the ground truth's query list, positives rows of its database list, both from
    zero, as in the challenge's own example.

    Raises:
        ValueError: If a query's predictions are not a valid ranking.
    """
    check_ranking(predictions.indices, predictions.num_database, source=path)
    entries = [
        {"id": query, "positive": ranking}
        for query, ranking in enumerate(predictions.indices.tolist())
    ]
    path.write_text(json.dumps({"Query": entries}, indent=4))
