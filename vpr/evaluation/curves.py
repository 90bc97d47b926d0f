"""Curves of a run, one table each, for DVC's plots and the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpr.evaluation.calibration import LEVELS
from vpr.evaluation.recall import recall_of_ranks
from vpr.places.radius import is_within, metres_between

BINS, LEAST_OF_BIN = 10, 5  # of the reliability curve


def error_rates_curve(
    negatives: NDArray[np.float64], positives: NDArray[np.float64]
) -> pd.DataFrame:
    """False acceptance against false rejection over thresholds on a score, high where sure.

    Args:
        negatives: Scores of what is to be rejected.
        positives: Scores of what is to be accepted.

    Returns:
        `threshold,false_acceptance,false_rejection`: a row for each score that occurs, ascending; a
        threshold accepts scores from itself on. Empty without negatives or positives.
    """
    thresholds = np.unique(np.concatenate([negatives, positives]))
    if not len(negatives) or not len(positives):
        thresholds = thresholds[:0]
    below = [np.searchsorted(np.sort(scores), thresholds) for scores in (negatives, positives)]
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "false_acceptance": 1 - below[0] / max(len(negatives), 1),
            "false_rejection": below[1] / max(len(positives), 1),
        }
    )


def precision_recall(
    doubts: NDArray[np.float64], correct: NDArray[np.bool_], *, num_answerable: int
) -> pd.DataFrame:
    """Precision and recall over thresholds on the doubt about the first prediction.

    Recall is the share of queries with a positive that are accepted and right. So it ends at the
    recall@1 of those, not at 1 as where only right predictions are counted.

    Args:
        doubts: Doubts about the first predictions, shape (num_queries,).
        correct: Whether the first prediction is a positive, same shape.
        num_answerable: Number of queries that have a positive.

    Returns:
        `threshold,precision,recall,num_accepted`: a row for each doubt that occurs, ascending; a
        threshold accepts all doubts up to itself.
    """
    thresholds, num_accepted, num_right = _accept_in_order(doubts, correct)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "precision": num_right / num_accepted,
            "recall": num_right / max(num_answerable, 1),
            "num_accepted": num_accepted,
        }
    )


def risk_coverage_curve(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> pd.DataFrame:
    """Share of wrong answers among those that are given, over the share that is given.

    Answers are given from the surest on, equally sure ones together (El-Yaniv and Wiener, JMLR
    2010). Whatever is answered wrong counts, also queries without a positive.

    Returns:
        `coverage,risk`, coverage ascending; empty where nothing is calibrated (NaN).
    """
    if np.isnan(probability).any():
        probability, right = probability[:0], right[:0]
    _, given, wrong = _accept_in_order(-probability, ~right)
    return pd.DataFrame({"coverage": given / max(len(right), 1), "risk": wrong / given})


def _accept_in_order(
    doubts: NDArray[np.float64], flags: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Accept doubts from the smallest on, equal ones together.

    Returns:
        Each doubt that occurs, ascending; the number accepted up to it, and of flags among them.
    """
    order = np.argsort(doubts, kind="stable")
    ascending = doubts[order]
    last = np.append(np.diff(ascending) > 0, True)[: len(order)]  # of each run of equal doubts
    return ascending[last], np.arange(1, len(order) + 1)[last], np.cumsum(flags[order])[last]


def average_precision(curve: pd.DataFrame) -> float:
    """Average a curve of `precision_recall` over the steps of recall, without interpolation."""
    return _area(curve["recall"], curve["precision"])


def recall_at_precision(curve: pd.DataFrame, precision: float) -> float:
    """Find the largest recall at which precision is at least this high; 0 if there is none."""
    high = curve["recall"][curve["precision"] >= precision]
    return float(high.max()) if len(high) else 0.0


def coverage_at_risk(curve: pd.DataFrame, risk: float) -> float:
    """Find the largest coverage at which the risk is at most this high; 0 if there is none."""
    low = curve["coverage"][curve["risk"] <= risk]
    return float(low.max()) if len(low) else 0.0


def area_under_risk(curve: pd.DataFrame) -> float:
    """Mean risk over all coverages; each step of coverage has the risk at its end."""
    return _area(curve["coverage"], curve["risk"])


def _area(x: pd.Series[float], y: pd.Series[float]) -> float:
    """Area under steps that have their height at their end; x ascends from 0."""
    return float((np.diff(x.to_numpy(), prepend=0.0) * y.to_numpy()).sum())


def reliability_curve(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> pd.DataFrame:
    """Stated probabilities against what came true, in groups of equally many queries.

    Returns:
        `probability,share_right,num_queries`: means of each of at most `BINS` groups, ascending;
        empty where nothing is calibrated (NaN).
    """
    order = np.argsort(probability, kind="stable")[: 0 if np.isnan(probability).any() else None]
    groups = np.array_split(order, min(BINS, max(len(order) // LEAST_OF_BIN, 1)))
    rows = [
        (probability[group].mean(), right[group].mean(), len(group))
        for group in groups
        if len(group)
    ]
    return pd.DataFrame(rows, columns=["probability", "share_right", "num_queries"])


def circles_curve(errors_m: NDArray[np.float64], circles_m: NDArray[np.float64]) -> pd.DataFrame:
    """Share of stated circles that hold the true position, over the level that they are stated at.

    Args:
        errors_m: From the estimated position to the true one, shape (num_queries,).
        circles_m: Radii by `LEVELS`, shape (num_queries, num_levels); NaN: none is stated.

    Returns:
        `level,share_held,num_circles`; a row for each level at which there are circles.
    """
    stated = ~np.isnan(circles_m)
    held = stated & (errors_m[:, None] <= circles_m)
    counts = stated.sum(axis=0)
    rows = [
        (level, float(share), int(count))
        for level, share, count in zip(
            LEVELS, held.sum(axis=0) / counts.clip(1), counts, strict=True
        )
        if count
    ]
    return pd.DataFrame(rows, columns=["level", "share_held", "num_circles"])


def ranking_curves(
    ranks: NDArray[np.int64],
    *,
    depth: int,
    top1: NDArray[np.float64],
    query: NDArray[np.float64],
    radii_m: Sequence[float],
) -> dict[str, pd.DataFrame]:
    """Compute the curves of a ranking, by name.

    `ranks` are those of the first positives, from 1, shape (num_queries,). `top1` and `query` are
    eastings and northings in metres, shape (num_queries, 2), of the first predictions and of the
    queries; where they are unknown (NaN), curves have no rows.

    Returns:
        `recall`: recall@N for N = 1..depth. `radius`: recall@1 by radius; a prediction at the edge
        counts, as it does for positives. `errors`: the share of first predictions that are at most
        so many metres away.
    """
    ns, metres = np.arange(1, depth + 1), metres_between(top1, query)
    within = [float(np.mean(is_within(top1, query, radius_m=radius))) for radius in radii_m]
    shares = np.arange(1, len(metres) + 1) / len(metres)
    errors = pd.DataFrame({"top1_metres": np.sort(metres).round(3), "fraction_of_queries": shares})
    curves = {
        "recall": pd.DataFrame({"n": ns, "recall": recall_of_ranks(ranks, ns.tolist()).values()}),
        "radius": pd.DataFrame({"radius_m": list(radii_m), "recall@1": within}),
        "errors": errors.drop_duplicates("top1_metres", keep="last"),
    }
    num_rows = 0 if np.isnan(metres).any() else None
    return {name: curve[:num_rows] for name, curve in curves.items()}
