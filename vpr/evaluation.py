"""The metrics of a run: recall with its uncertainty, errors in metres, and curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.recall import recall_at
from vpr.uncertainty import block_bootstrap_interval, wilson_interval

Metrics = dict[str, float | int | list[float]]


def summarise(
    ranks: NDArray[np.int64],
    num_positives: NDArray[np.int64],
    top1_metres: NDArray[np.float64],
    *,
    ns: Sequence[int],
    block_length: int,
    num_samples: int,
    confidence: float,
    seed: int,
) -> Metrics:
    """What goes into metrics/recall.json.

    Args:
        ranks: Rank of the first positive of each query, from 1, in the order of the route.
        num_positives: Positives of each query.
        top1_metres: Distance of the first prediction from the query, in metres.
        ns: The depths N to report.
        block_length: Queries in a bootstrap block.
        num_samples: Bootstrap samples.
        confidence: Of the intervals.
        seed: Of the bootstrap.

    Returns:
        `recall@N` over all queries and `recall@N_answerable` over those that have a positive;
        their intervals as lists; counts; median and 90th percentile of the top-1 error in metres.
    """
    answerable = num_positives > 0
    metrics: Metrics = {}
    for n in ns:
        hits = ranks <= n
        metrics[f"recall@{n}"] = float(hits.mean())
        if answerable.any():
            metrics[f"recall@{n}_answerable"] = float(hits[answerable].mean())
        metrics[f"recall@{n}_wilson_if_independent"] = list(
            wilson_interval(hits, confidence=confidence)
        )
        metrics[f"recall@{n}_block_bootstrap"] = list(
            block_bootstrap_interval(
                hits, block_length=block_length, num_samples=num_samples,
                confidence=confidence, seed=seed,
            )
        )  # fmt: skip
    metrics["num_queries"] = len(ranks)
    metrics["num_queries_without_positives"] = int(np.count_nonzero(~answerable))
    metrics["top1_metres_median"] = float(np.median(top1_metres))
    metrics["top1_metres_p90"] = float(np.quantile(top1_metres, 0.9))
    return metrics


def describe_reranking(
    before: NDArray[np.int64], after: NDArray[np.int64], positives: csr_array, *, ns: Sequence[int]
) -> Metrics:
    """What re-ranking changed.

    Args:
        before: The retrieval, database indices of shape (num_queries, depth).
        after: The same predictions re-ranked.
        positives: Query x database; stored entries are the positives.
        ns: The depths N to report.

    Returns:
        `recall@N_before_reranking`, and the number of queries whose first prediction changed.
    """
    recalls = recall_at(ns, before, positives)
    metrics: Metrics = {f"recall@{n}_before_reranking": recall for n, recall in recalls.items()}
    metrics["num_top1_reranked"] = int(np.count_nonzero(before[:, 0] != after[:, 0]))
    return metrics


def recall_curve(ranks: NDArray[np.int64], *, depth: int) -> pd.DataFrame:
    """Recall@N for N = 1..depth, as columns `n` and `recall`."""
    ns = np.arange(1, depth + 1)
    return pd.DataFrame({"n": ns, "recall": [float(np.mean(ranks <= n)) for n in ns]})


def radius_curve(metres: NDArray[np.float64], *, radius_m: Sequence[float]) -> pd.DataFrame:
    """Recall@1 over a sweep of radii, as columns `radius_m` and `recall@1`.

    Args:
        metres: Distance of the first prediction from the query, shape (num_queries,).
        radius_m: The radii; a prediction at the edge counts.
    """
    shares = [float(np.mean(metres <= radius)) for radius in radius_m]
    return pd.DataFrame({"radius_m": list(radius_m), "recall@1": shares})
