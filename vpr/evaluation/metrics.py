"""The metrics of a run: recall with its uncertainty, errors in metres, re-ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.curves import average_precision, precision_recall
from vpr.evaluation.details import ANSWERABLE, NUM_WITHOUT
from vpr.evaluation.recall import first_correct_ranks, recall_at, recall_of_ranks
from vpr.evaluation.uncertainty import block_bootstrap_interval, wilson_interval
from vpr.places.index import ImageIndex
from vpr.places.radius import SAME_WAY_DEG, keep_same_way
from vpr.reranking.verified_pairs import Evidence
from vpr.retrieval.predictions import Predictions

Metrics = dict[str, float | int | list[float]]


def summarise_recall(
    ranks: NDArray[np.int64],
    num_positives: NDArray[np.int64],
    *,
    ns: Sequence[int],
    block_length: int,
    num_samples: int,
    confidence: float,
    seed: int,
) -> Metrics:
    """Summarise recall at each depth with its uncertainty.

    Ranks are those of each query's first positive, from 1, in the order of the route. For the
    interval along the route see `block_bootstrap_interval`.

    Returns:
        `recall@N` over all queries, its intervals as lists, and counts; where queries without a
        positive make a difference, `recall@N_answerable` over those that have one.
    """
    answerable = num_positives > 0
    metrics: Metrics = {}
    for n, recall in recall_of_ranks(ranks, ns).items():
        hits = ranks <= n
        metrics[f"recall@{n}"] = recall
        if answerable.any() and not answerable.all():
            metrics[f"recall@{n}{ANSWERABLE}"] = recall_of_ranks(ranks[answerable], [n])[n]
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
    metrics[NUM_WITHOUT] = int(np.count_nonzero(~answerable))
    return metrics


def describe_reranking(
    before: Predictions,
    after: Predictions,
    positives: csr_array,
    evidence: Evidence | None,
    *,
    ns: Sequence[int],
) -> Metrics:
    """Summarise what re-ranking changed.

    Args:
        before: The retrieval.
        after: The same predictions re-ranked.
        positives: Query x database; stored entries are the positives.
        evidence: For the new predictions; None where re-ranking is off.
        ns: The depths N to report.

    Returns:
        `recall@N_before_reranking`, the number of queries whose first prediction changed, and how
        well known places are separated from unknown ones: `average_precision_before_reranking`, of
        the retrieval by distance, and `average_precision_by_inliers`, of the new first predictions;
        empty if re-ranking is off.
    """
    if evidence is None:
        return {}
    recalls = recall_at(ns, before.indices, positives)
    metrics: Metrics = {f"recall@{n}_before_reranking": recall for n, recall in recalls.items()}
    changed = before.indices[:, 0] != after.indices[:, 0]
    metrics["num_top1_reranked"] = int(np.count_nonzero(changed))
    doubts = {
        "before_reranking": (before, before.distances[:, 0].astype(np.float64)),
        "by_inliers": (after, evidence.log10_nfa[:, 0]),
    }
    num_answerable = int(np.count_nonzero(np.diff(positives.indptr)))
    for name, (ranked, doubt) in doubts.items():
        correct = first_correct_ranks(ranked.indices, positives) == 1
        curve = precision_recall(doubt, correct, num_answerable=num_answerable)
        metrics[f"average_precision_{name}"] = average_precision(curve)
    return metrics


def summarise_without(
    ranks: NDArray[np.int64], copies: Sequence[int], *, ns: Sequence[int]
) -> Metrics:
    """Summarise recall over the queries that are not copies of database photos.

    Args:
        ranks: Rank of each query's first positive, from 1.
        copies: Queries left out.
        ns: Depths N to report.

    Returns:
        `without_copies_recall@N`; empty if there are no copies, or nothing else.
    """
    rest = np.delete(ranks, copies)
    if not copies or not len(rest):
        return {}
    return {f"without_copies_recall@{n}": of for n, of in recall_of_ranks(rest, ns).items()}


def summarise_same_way(
    predictions: NDArray[np.int64],
    positives: csr_array,
    database: ImageIndex,
    query: ImageIndex,
    *,
    ns: Sequence[int],
) -> Metrics:
    """Summarise recall where only positives count that look the same way as the query.

    Args:
        predictions: Database indices, best first, shape (num_queries, depth).
        positives: Query x database; stored entries are the positives.
        database: Index of the database.
        query: Index of the queries.
        ns: Depths N to report.

    Returns:
        `same_way_recall@N` over the queries that have such a positive, and their number; empty if
        no heading is known on one of the sides.
    """
    if database.heading is None or query.heading is None:
        return {}
    alike = keep_same_way(
        positives, query.heading, database.heading, max_deg=SAME_WAY_DEG, keep_unknown=False
    )
    answerable = np.diff(alike.indptr) > 0
    metrics: Metrics = {"same_way_num_queries": int(answerable.sum())}
    if answerable.any():
        ranks = first_correct_ranks(predictions, alike)[answerable]
        metrics |= {
            f"same_way_recall@{n}": share for n, share in recall_of_ranks(ranks, ns).items()
        }
    return metrics


def summarise_errors(top1_metres: NDArray[np.float64]) -> Metrics:
    """Median and 90th percentile of the first predictions' distance from their queries, metres."""
    return {
        "top1_metres_median": float(np.median(top1_metres)),
        "top1_metres_p90": float(np.quantile(top1_metres, 0.9)),
    }
