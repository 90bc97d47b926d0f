"""Exact search: queries per second and peak memory, against numpy and scikit-learn.

Each search runs in a process of its own: `python -m bench.speed.search METHOD DIR`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.shared.alone import measure_alone

NUM_QUERIES = 200
DIM = 4096  # of whitened NetVLAD descriptors in the paper
TOP_K = 20
CLOSE = 1e-5  # Euclidean, between unit vectors
SIDES = ("database", "query")


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


def measure(*, sizes: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Search databases of some sizes with each method, each in a process of its own."""
    return {str(size): _measure_size(size, repeats) for size in sizes}


def _measure_size(size: int, repeats: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "database.npy", size, seed=0)
        _write(Path(folder) / "query.npy", NUM_QUERIES, seed=1)
        for _ in range(repeats):
            for method in METHODS:
                found[method].append(measure_alone("bench.speed.search", method, folder))
        _check_agreement(Path(folder))
    result: dict[str, Any] = {
        method: {
            "queries_per_second": NUM_QUERIES / statistics.median(r["seconds"] for r in runs),
            "peak_memory_mb": max(r["peak_mb"] for r in runs),
        }
        for method, runs in found.items()
    }
    rates = {method: result[method]["queries_per_second"] for method in METHODS}
    return result | {"ours_over_best": rates["ours"] / max(rates["numpy"], rates["scikit-learn"])}


def _check_agreement(folder: Path) -> None:
    """Rankings may only differ by swaps of candidates that are equally far in float32."""
    database, query = (np.load(folder / f"{side}.npy", mmap_mode="r") for side in SIDES)
    distances = {}
    for method in METHODS:
        ranked = np.load(folder / f"{method}.npy")
        pairs = zip(query.astype(np.float64), ranked, strict=True)
        distances[method] = np.stack(
            [np.linalg.norm(database[row] - descriptor, axis=1) for descriptor, row in pairs]
        )
    for method in METHODS:
        apart = np.abs(distances[method] - distances["ours"]).max()
        assert apart < CLOSE, f"{method} ranks otherwise: distances up to {apart} apart"


def _write(path: Path, count: int, *, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, DIM))
    for start in range(0, count, 4096):
        block = rng.standard_normal((min(4096, count - start), DIM), dtype=np.float32)
        rows[start : start + 4096] = block / np.linalg.norm(block, axis=1, keepdims=True)


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
