"""Approximate search: candidates from an index, ranked by their exact distances."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.descriptors import exact_distances, row_blocks
from vpr.retrieval.index_kinds import Effort, Kind, is_well_trained, refuse
from vpr.retrieval.ranking import best, rank_database
from vpr.runtime.hashing import hash_work
from vpr.runtime.store import Store, content_key

ROWS_PER_CENTROID = 256  # the most that faiss's k-means uses
BUILD_EF = 64  # nodes kept while images are put into lists; faiss's 16 puts many into wrong ones
MAX_SAMPLED = 200  # queries by which an index is compared with exact search


def build_index(database: NDArray[np.float32], kind: Kind, *, store: Store | None = None) -> Any:  # noqa: ANN401 - no types
    """Train an index on the database and fill it, on one thread, so that its bytes are repeatable.

    It is trained on the first `count_trained_on` rows. So rows that are added at the end leave what
    was trained as it was, which the store then has: only filling is left to do.

    Args:
        database: Unit rows, shape (num_database, dim), read block by block.
        kind: Kind of the index.
        store: Where trained indices are kept.

    Raises:
        ValueError: If faiss refuses this kind of index.
    """
    num_rows, dim = database.shape
    if not is_well_trained(kind, num_rows):
        print(
            f"note: search.index = {kind.text}: {num_rows:,} images are few for k-means of "
            f"{kind.num_centroids} centroids: at least 39 for each are recommended",
            file=sys.stderr,
        )
    with one_thread():
        try:
            index = faiss.index_factory(dim, kind.text, faiss.METRIC_L2)
            if not index.is_trained:
                index = _train(index, database, kind, store)
            _set_coarse_effort(_unwrapped(index), BUILD_EF)
            for rows in row_blocks(database):
                index.add(np.ascontiguousarray(database[rows]))
        except RuntimeError as error:
            raise refuse(kind, error, num_rows=num_rows, dim=dim) from None
    return index


def count_trained_on(num_rows: int, kind: Kind) -> int:
    """Count the rows that an index is trained on: the first, a number that seldom changes.

    It is the number of rows rounded down to four binary digits, so at least 8 of 9 are seen.
    """
    unseen_bits = max(0, num_rows.bit_length() - 4)
    return max(num_rows >> unseen_bits << unseen_bits, kind.num_centroids)


def _train(
    index: Any,  # noqa: ANN401 - no types
    database: NDArray[np.float32],
    kind: Kind,
    store: Store | None,
) -> Any:  # noqa: ANN401 - no types
    """Train an empty index, or find it trained on the same rows."""
    count = count_trained_on(len(database), kind)
    step = max(1, count // (ROWS_PER_CENTROID * max(kind.num_centroids, 256)))
    rows = np.ascontiguousarray(database[:count:step])
    made_by = hash_work(faiss.__version__, kind.text, rows.shape, inputs=())
    key = content_key(made_by.encode(), hashlib.sha256(rows.data).digest())
    trained = store.find(key) if store else None
    again = ", as it was before" if trained else ""
    words = f"{kind.text}: trained on the first {count:,} of {len(database):,} images{again}"
    print(words, file=sys.stderr)
    if trained is None:
        _leave_codes_in_order(_unwrapped(index))
        index.train(rows)
        trained = faiss.serialize_index(index).tobytes()
        if store:
            store.keep(key, trained)
    return faiss.deserialize_index(np.frombuffer(trained, np.uint8))  # also if it is new


def search_index(
    index: Any,  # noqa: ANN401 - no types
    database: NDArray[np.float32],
    query: NDArray[np.float32],
    *,
    top_k: int,
    effort: Effort,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rank the database for each query among the candidates that the index finds.

    Each query is searched by itself, on one thread, so that its ranking does not depend on others.
    A query for which the index finds fewer than top_k candidates is ranked exactly.

    Args:
        index: Index of the same database.
        database: Unit rows, shape (num_database, dim); only candidates are read.
        query: Unit rows, shape (num_queries, dim).
        top_k: Images to keep for each query.
        effort: How much of the index to search.

    Returns:
        Indices (num_queries, top_k) and exact Euclidean distances in [0, 2]; equal distances by
        lower index.

    Raises:
        ValueError: If top_k is larger than the database.
    """
    if top_k > len(database) or database.shape[1] != query.shape[1]:
        return rank_database(database, query, top_k=top_k)  # which raises the error
    _set_effort(index, effort)
    count = min(max(effort.candidates, top_k), len(database))
    indices = np.empty((len(query), top_k), np.int64)
    distances = np.empty((len(query), top_k), np.float32)
    lacking = []
    with one_thread():
        for number in range(len(query)):
            row = np.ascontiguousarray(query[number])
            _, (candidates,) = index.search(row[None], count)
            candidates = np.sort(candidates[candidates >= 0])  # in the file's order
            if len(candidates) < top_k:
                lacking.append(number)
                continue
            exact = exact_distances(np.asarray(database[candidates]), row)
            indices[number], distances[number] = best(candidates, exact, top_k)
    if lacking:
        print(
            f"note: the index has fewer than {top_k} candidates for {len(lacking)} of "
            f"{len(query)} queries: they are ranked exactly; a larger search.nprobe helps",
            file=sys.stderr,
        )
        ranked = rank_database(database, np.asarray(query[lacking]), top_k=top_k)
        indices[lacking], distances[lacking] = ranked
    return indices, distances


def measure_index(
    database: NDArray[np.float32], query: NDArray[np.float32], indices: NDArray[np.int64]
) -> dict[str, float]:
    """Compare rankings with exact ones, on queries spread evenly over all.

    Returns:
        `index_recall@1`: queries whose nearest image is ranked first; `index_recall@20`: the share
        of the 20 nearest that are among the first 20, or of as many as there are; and `num_queries`
        sampled.
    """
    step = -(-len(query) // MAX_SAMPLED)
    depth = min(20, indices.shape[1])
    exact, _ = rank_database(database, np.asarray(query[::step]), top_k=depth)
    approximate = indices[::step, :depth]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(exact, approximate, strict=True)]
    return {
        "index_recall@1": float(np.mean(exact[:, 0] == approximate[:, 0])),
        f"index_recall@{depth}": float(np.mean(shared)) / depth,
        "num_queries": len(exact),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Let faiss compute on one thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _set_effort(index: Any, effort: Effort) -> None:  # noqa: ANN401 - no types
    part = _unwrapped(index)
    if isinstance(part, faiss.IndexHNSW):
        part.hnsw.efSearch = max(effort.ef_search, effort.candidates)
    if isinstance(part, faiss.IndexIVF):
        part.nprobe = min(effort.nprobe, part.nlist)
        _set_coarse_effort(part, max(effort.ef_search, part.nprobe))


def _set_coarse_effort(part: Any, ef_search: int) -> None:  # noqa: ANN401 - no types
    """Set how many lists the graph of an inverted file's lists keeps, if it has a graph."""
    if isinstance(part, faiss.IndexIVF):
        coarse = faiss.downcast_index(part.quantizer)
        if isinstance(coarse, faiss.IndexHNSW):
            coarse.hnsw.efSearch = ef_search


def _leave_codes_in_order(part: Any) -> None:  # noqa: ANN401 - no types
    """Skip faiss's long ordering of codes by Hamming distance, which no search here uses."""
    store = faiss.downcast_index(part.storage) if isinstance(part, faiss.IndexHNSW) else part
    if hasattr(store, "do_polysemous_training"):
        store.do_polysemous_training = False


def _unwrapped(index: Any) -> Any:  # noqa: ANN401 - no types
    """Find the index behind OPQ or PCA."""
    part = faiss.downcast_index(index)
    return _unwrapped(part.index) if isinstance(part, faiss.IndexPreTransform) else part
