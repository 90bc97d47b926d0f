"""Recall@N, as place recognition uses the term."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.places.positives import positives_of

STANDARD_DEPTHS = (1, 5, 10, 20)  # N of published tables
NEVER = np.iinfo(np.int64).max  # rank of a query without a positive among its predictions


def first_correct_ranks(predictions: NDArray[np.int64], positives: csr_array) -> NDArray[np.int64]:
    """Find the rank of the first positive of each query, counted from 1.

    Args:
        predictions: Database indices, best first, of shape (num_queries, depth).
        positives: Shape (num_queries, num_database); stored entries are the positives.

    Returns:
        Shape (num_queries,); `NEVER` where no prediction is a positive.

    Raises:
        ValueError: If the inputs disagree on the number of queries.
    """
    if len(predictions) != positives.shape[0]:
        raise ValueError(
            f"predictions are of {len(predictions)} queries, positives of {positives.shape[0]}"
        )
    ranks = np.full(len(predictions), NEVER)
    for row, ranking in enumerate(predictions):
        hits = np.flatnonzero(np.isin(ranking, positives_of(positives, row)))
        if len(hits):
            ranks[row] = hits[0] + 1
    return ranks


def recall_of_ranks(ranks: NDArray[np.int64], ns: Sequence[int]) -> dict[int, float]:
    """Compute the fraction of queries with a positive among their first N predictions.

    This is recall@N as place recognition uses the term (Arandjelović et al., CVPR 2016);
    information retrieval calls it hit rate. A query counts once, however many of its positives are
    found; a query without a positive still counts in the denominator.

    Args:
        ranks: Rank of the first positive of each query, from 1, shape (num_queries,).
        ns: Depths N to report.

    Returns:
        Recall in [0, 1], keyed by N.
    """
    return {n: float(np.mean(ranks <= n)) for n in ns}


def recall_at(
    ns: Sequence[int], predictions: NDArray[np.int64], positives: csr_array
) -> dict[int, float]:
    """Compute recall@N of rankings, see `first_correct_ranks` and `recall_of_ranks`.

    Returns:
        Recall in [0, 1], keyed by N.

    Raises:
        ValueError: If the inputs disagree on the number of queries, or an N is deeper than the
            ranking.
    """
    depth = predictions.shape[1]
    too_deep = [n for n in ns if not 1 <= n <= depth]
    if too_deep:
        raise ValueError(f"recall@N for N = {too_deep}: the ranking has a depth of {depth}")
    return recall_of_ranks(first_correct_ranks(predictions, positives), ns)


def reached_depths(ns: Sequence[int], depth: int) -> list[int]:
    """Keep the depths N that rankings of this depth reach.

    Raises:
        ValueError: If there is none.
    """
    reached = [n for n in ns if n <= depth]
    if not reached:
        raise ValueError(
            f"evaluate.recall_at = {list(ns)}: search.top_k = {depth} reaches none of them"
        )
    return reached
