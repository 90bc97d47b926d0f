"""One search with one method in this process: `python -m bench.speed.search_once METHOD DIR`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOP_K = 20


def search_ours(database: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    """Search like the pipeline, from the mapped file."""
    from vpr.retrieval.ranking import rank_database

    return rank_database(database, query, top_k=TOP_K)[0]


def search_numpy(database: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    """Search by one matrix product of all queries with the whole database."""
    likeness = query @ np.array(database).T
    best = np.argpartition(-likeness, TOP_K, axis=1)[:, :TOP_K]
    order = np.argsort(-np.take_along_axis(likeness, best, axis=1), axis=1)
    ranked: NDArray[np.int64] = np.take_along_axis(best, order, axis=1)
    return ranked


def search_sklearn(database: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    """Search by scikit-learn's brute force."""
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=TOP_K, algorithm="brute").fit(np.array(database))
    ranked: NDArray[np.int64] = neighbours.kneighbors(query, return_distance=False)
    return ranked


METHODS = {"ours": search_ours, "numpy": search_numpy, "scikit-learn": search_sklearn}


def main() -> None:
    """Print the seconds, and write the ranking next to the descriptors as METHOD.npy."""
    search, folder = METHODS[sys.argv[1]], Path(sys.argv[2])
    database = np.load(folder / "database.npy", mmap_mode="r")
    query = np.load(folder / "query.npy")
    search(database[:100], query[:2])  # imports and threads are not timed
    start = time.perf_counter()
    ranked = search(database, query)
    seconds = time.perf_counter() - start
    np.save(folder / f"{sys.argv[1]}.npy", ranked)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
