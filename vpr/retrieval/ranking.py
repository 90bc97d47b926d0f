"""Exact search: the database ranked for each query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.descriptors import exact_distances, row_blocks
from vpr.runtime.ordered_map import is_over_cluster, ordered_map

SPARE = 16  # candidates kept beyond top_k: enough unless the database repeats itself
ROUNDING = 1e-5  # error of faiss's squared distances of unit rows: 3.5e-6 seen at 65,536 dimensions
GPU_DEPTH = 2048  # faiss's limit of candidates on a GPU

Shard = tuple[int, NDArray[np.float32]]  # its first row's index in the database, and its rows
Ranking = tuple[NDArray[np.int64], NDArray[np.float32]]  # indices and distances, (queries, depth)


def rank_database(
    database: NDArray[np.float32], query: NDArray[np.float32], *, top_k: int
) -> Ranking:
    """Rank the database for each query, the nearest descriptors first.

    The database is read block by block, so that it may be larger than memory. faiss selects the
    candidates; their distances are then recomputed from the differences in float64, which is exact
    enough that equal rows have equal distances in any block. A query with more near ties at the cut
    than candidates were kept (a camera that stood still) is completed from all rows that rounding
    could have hidden.

    Args:
        database: Unit rows, shape (num_database, dim).
        query: Unit rows, shape (num_queries, dim).
        top_k: Images to keep for each query.

    Returns:
        Indices (num_queries, top_k) and Euclidean distances in [0, 2]; equal distances by lower
        index.

    Raises:
        ValueError: If top_k is larger than the database, or the descriptors differ in length.
    """
    check_sizes(database, query, top_k)
    return _joined(
        (_rank_block(database, block, top_k) for _, block in _blocks(query)), np.concatenate
    )


def check_sizes(database: NDArray[np.float32], query: NDArray[np.float32], top_k: int) -> None:
    """Check that a database can be ranked for queries.

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


def _blocks(rows: NDArray[np.float32]) -> Iterator[Shard]:
    for block in row_blocks(rows):
        yield block.start, np.ascontiguousarray(rows[block])


def _joined(
    rankings: Iterable[Ranking], join: Callable[[Sequence[NDArray[Any]]], NDArray[Any]]
) -> Ranking:
    indices, distances = zip(*rankings, strict=True)
    return join(indices), join(distances)


def _rank_block(database: NDArray[np.float32], query: NDArray[np.float32], top_k: int) -> Ranking:
    num_kept = min(top_k + SPARE, len(database))
    nearest = (_nearest(query, *block, num_kept) for block in _blocks(database))
    candidates, squares = merge_rankings(nearest, num_kept)
    indices, distances = _joined(
        (
            best(images, exact_distances(database[images], row), top_k)
            for images, row in zip(candidates, query, strict=True)
        ),
        np.stack,
    )
    if num_kept < len(database):
        reach = np.square(distances[:, -1].astype(np.float64)) + ROUNDING  # of the squares
        unsure = np.flatnonzero(squares[:, -1] <= reach + ROUNDING)
        if len(unsure):
            indices[unsure], distances[unsure] = _rank_within(
                database, query[unsure], reach[unsure], top_k
            )
    return indices, distances


def _rank_within(
    database: NDArray[np.float32],
    query: NDArray[np.float32],
    reach: NDArray[np.float64],
    top_k: int,
) -> Ranking:
    """Rank the images whose squared distances are within each query's reach."""
    kept: list[Ranking] = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in query]
    for start, block in _blocks(database):
        for number, row in enumerate(query):
            near = np.flatnonzero(faiss.pairwise_distances(row[None], block)[0] <= reach[number])
            indices, distances = kept[number]
            kept[number] = best(
                np.concatenate([indices, near + start]),
                np.concatenate([distances, exact_distances(block[near], row)]),
                top_k,
            )
    return _joined(kept, np.stack)


def best(indices: NDArray[np.int64], distances: NDArray[np.float32], top_k: int) -> Ranking:
    """Keep the nearest of some images, the nearest first, equal distances by lower index."""
    order = np.lexsort((indices, distances))[:top_k]
    return indices[order], distances[order]


def _nearest(
    query: NDArray[np.float32], start: int, block: NDArray[np.float32], num_kept: int
) -> Ranking:
    """Rank a block of the database by faiss; the distances are squares."""
    count = min(num_kept, len(block))
    if faiss.get_num_gpus() > 0 and count <= GPU_DEPTH:
        squares, places = faiss.knn_gpu(_gpu(), query, block, count)
    else:
        squares, places = faiss.knn(query, block, count)
    return places + start, squares


@cache
def _gpu() -> Any:  # noqa: ANN401 - faiss has no types
    return faiss.StandardGpuResources()  # reserves memory on the GPU: once, not for each block


def rank_shards(
    database: NDArray[np.float32], query: NDArray[np.float32], *, top_k: int
) -> Ranking:
    """Rank like `rank_database`, over a cluster if there is one, with the same bits.

    A distance depends on its two rows only, and a shard keeps as many as the whole: the nearest of
    the shards' nearest, equal ones by lower index, are the nearest.

    Raises:
        ValueError: As `rank_database` does.
    """
    if not is_over_cluster():
        return rank_database(database, query, top_k=top_k)
    check_sizes(database, query, top_k)
    ranked = ordered_map(
        make_ranker, (np.ascontiguousarray(query), top_k), _blocks(database),
        threads=faiss.omp_get_max_threads(), uses_gpu=faiss.get_num_gpus() > 0,
    )  # fmt: skip
    return merge_rankings(ranked, top_k)


def make_ranker(
    query: NDArray[np.float32], top_k: int
) -> Callable[[Iterable[Shard]], Iterator[Ranking]]:
    """Make a function that ranks shard after shard, with indices of the whole database."""

    def rank(shards: Iterable[Shard]) -> Iterator[Ranking]:
        for start, rows in shards:
            places, distances = rank_database(rows, query, top_k=min(top_k, len(rows)))
            yield places + start, distances

    return rank


def merge_rankings(rankings: Iterable[Ranking], top_k: int) -> Ranking:
    """Merge rankings of consecutive parts of a database; equal distances by lower index."""
    parts = iter(rankings)
    indices, distances = next(parts)
    for more_indices, more_distances in parts:
        indices = np.concatenate([indices, more_indices], axis=1)
        distances = np.concatenate([distances, more_distances], axis=1)
        order = np.lexsort((indices, distances), axis=1)[:, :top_k]
        indices = np.take_along_axis(indices, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
    return indices, distances
