"""Exact search: the database ranked for each query."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from vpr.descriptors import row_blocks

SPARE = 16  # candidates kept beyond top_k, so that equal distances at the cut are not lost


def rank_database(
    database: NDArray[np.float32], query: NDArray[np.float32], *, top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest database descriptors of each query, best first.

    The database is read block by block, so that it may be larger than memory. faiss selects the
    candidates; their distances are then computed anew from the differences in float64, which is
    exact enough that equal rows have equal distances, whatever block they lay in.

    Args:
        database: Unit rows, shape (num_database, dim).
        query: Unit rows, shape (num_queries, dim).
        top_k: How many to keep.

    Returns:
        Indices (num_queries, top_k) and Euclidean distances in [0, 2]; equal distances by lower
        index.

    Raises:
        ValueError: If top_k is larger than the database, or the descriptors differ in length.
    """
    if top_k > len(database):
        raise ValueError(
            f"search.top_k = {top_k}, but the database has only {len(database)} images: "
            f"set it to {len(database)} or less"
        )
    if database.shape[1] != query.shape[1]:
        raise ValueError(
            f"database descriptors have {database.shape[1]} dimensions, query descriptors "
            f"{query.shape[1]}: they come from different models"
        )
    ranked = [
        _rank_block(database, query[rows], min(top_k + SPARE, len(database)), top_k)
        for rows in row_blocks(query)
    ]
    return np.concatenate([one[0] for one in ranked]), np.concatenate([one[1] for one in ranked])


def _rank_block(
    database: NDArray[np.float32], query: NDArray[np.float32], num_kept: int, top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    query = np.ascontiguousarray(query)
    indices = np.empty((len(query), 0), dtype=np.int64)
    squares = np.empty((len(query), 0), dtype=np.float32)
    for rows in row_blocks(database):
        block = np.ascontiguousarray(database[rows])
        found, places = _nearest(query, block, min(num_kept, len(block)))
        indices = np.concatenate([indices, places + rows.start], axis=1)
        squares = np.concatenate([squares, found], axis=1)
        best = np.argsort(squares, axis=1, kind="stable")[:, :num_kept]
        indices = np.take_along_axis(indices, best, axis=1)
        squares = np.take_along_axis(squares, best, axis=1)
    distances = np.stack(
        [_distances(database[row], one) for row, one in zip(indices, query, strict=True)]
    )
    order = np.lexsort((indices, distances), axis=1)[:, :top_k]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _nearest(
    query: NDArray[np.float32], block: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if faiss.get_num_gpus() > 0:
        found, places = faiss.knn_gpu(faiss.StandardGpuResources(), query, block, count)
    else:
        found, places = faiss.knn(query, block, count)
    return found, places


def _distances(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    differences = rows.astype(np.float64) - query
    lengths = np.sqrt(np.square(differences).sum(axis=1)).clip(0, 2)
    rounded: NDArray[np.float32] = lengths.astype(np.float32)
    return rounded
