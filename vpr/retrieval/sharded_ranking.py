"""Exact search over a cluster: each machine ranks shards of the database, and these are merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import faiss
import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.descriptors import row_blocks
from vpr.retrieval.ranking import check_sizes, rank_database
from vpr.runtime.ordered_map import is_over_cluster, ordered_map

Shard = tuple[int, NDArray[np.float32]]  # its first row's index in the database, and its rows
Ranking = tuple[NDArray[np.int64], NDArray[np.float32]]  # indices and distances, as rank_database's


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
    shards = ((rows.start, np.ascontiguousarray(database[rows])) for rows in row_blocks(database))
    threads, uses_gpu = faiss.omp_get_max_threads(), faiss.get_num_gpus() > 0
    ranked = ordered_map(
        make_ranker, (np.ascontiguousarray(query), top_k), shards,
        threads=threads, uses_gpu=uses_gpu,
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
