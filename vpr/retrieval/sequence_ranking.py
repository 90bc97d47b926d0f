"""Rankings from sequences of descriptors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.sequences import (
    enhance_contrast,
    matrix_of_rankings,
    rank_lines,
)


def rank_descriptors(
    database: NDArray[np.float32],
    query: NDArray[np.float32],
    query_recordings: Sequence[NDArray[np.int64]],
    database_recordings: Sequence[NDArray[np.int64]],
    *,
    length: int,
    velocities: Sequence[float],
    reach: int | None,
    top_k: int,
) -> NDArray[np.int64]:
    """Rank the database for each query by lines through the matrix of dot products.

    Args:
        database: Unit rows, shape (num_database, dim).
        query: Unit rows in the order of the route, shape (num_queries, dim).
        query_recordings: Queries of each recording; a line stays within one.
        database_recordings: Database images of each recording; a line stays within one.
        length: Queries on a line.
        velocities: Database images passed from one query to the next.
        reach: Images on each side that a similarity is compared with; None: all.
        top_k: Images to keep for each query.

    Returns:
        Database indices, best first, shape (num_queries, top_k).
    """

    def matrix(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        similarity = (query[rows] @ database.T).astype(np.float64)
        return enhance_contrast(similarity, database_recordings, reach=reach)

    return rank_lines(
        matrix, query_recordings, database_recordings,
        length=length, velocities=velocities, top_k=top_k,
    )  # fmt: skip


def rank_again(
    rankings: NDArray[np.int64],
    query_recordings: Sequence[NDArray[np.int64]],
    database_recordings: Sequence[NDArray[np.int64]],
    *,
    length: int,
    velocities: Sequence[float],
) -> NDArray[np.int64]:
    """Re-rank the rankings of single images, by lines through them.

    Rankings are database indices, best first, shape (num_queries, depth), with -1 for no candidate;
    the other arguments are those of `rank_descriptors`.

    Returns:
        The same shape; -1 instead of images that no ranking on a line names.
    """
    matrix = matrix_of_rankings(rankings, sum(map(len, database_recordings)))
    return rank_lines(
        lambda rows: matrix[rows], query_recordings, database_recordings,
        length=length, velocities=velocities, top_k=rankings.shape[1], above=0,
    )  # fmt: skip


def find_distances(
    database: NDArray[np.float32], query: NDArray[np.float32], indices: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Euclidean distances of each query's descriptor to those of its predictions.

    Returns:
        Shape (num_queries, top_k), in [0, 2].
    """
    rows = [
        np.linalg.norm(database[images].astype(np.float64) - descriptor, axis=1)
        for descriptor, images in zip(query, indices, strict=True)
    ]
    return np.stack(rows).astype(np.float32)
