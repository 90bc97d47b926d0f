"""Known or unknown place: which first predictions to accept, by their distance or inliers.

Both are turned into a doubt: the smaller, the surer. For a distance it is the distance itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpr.evaluation.params import By
from vpr.retrieval.predictions import Predictions

NONE = -1.0  # a threshold that accepts nothing; doubts begin at 0


@dataclass(frozen=True)
class Acceptance:
    """Which queries are accepted as known places.

    Args:
        accepted: Shape (num_queries,); by thresholds that were fitted without the query.
        threshold: Largest doubt to accept from now on, fitted on all of these queries; None:
            everything is accepted.
        num_answerable: Queries that have a positive.
        curve: Precision and recall over all thresholds, in the units of `by`.
        by: Source of the doubts.
    """

    accepted: NDArray[np.bool_]
    threshold: float | None
    num_answerable: int
    curve: pd.DataFrame
    by: By


def doubts_of_inliers(inliers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Convert numbers of inliers to doubts in (0, 1], 1 without any."""
    doubts: NDArray[np.float64] = 1 / (1 + inliers)
    return doubts


def doubts_about(
    by: By, predictions: Predictions, inliers: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Compute the doubt about each first prediction, shape (num_queries,).

    `inliers` are those of the first predictions, same shape; None without re-ranking.

    Raises:
        ValueError: If doubts are to come from inliers and there are none.
    """
    if by == "distance":
        return predictions.distances[:, 0].astype(np.float64)
    if inliers is None:
        raise ValueError(
            "evaluate.accept_by = inliers: none are counted with rerank.method = none: set a "
            "matcher there, or accept by distance"
        )
    return doubts_of_inliers(inliers)


def inliers_at(doubt: float) -> int:
    """Convert a doubt back to the number of inliers; -1 for `NONE`."""
    return -1 if doubt == NONE else round(1 / doubt) - 1


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
    order = np.argsort(doubts, kind="stable")
    ascending = doubts[order]
    last = np.append(np.diff(ascending) > 0, True)[: len(order)]  # of each run of equal doubts
    num_accepted = np.arange(1, len(order) + 1)[last]
    num_right = np.cumsum(correct[order])[last]
    return pd.DataFrame(
        {
            "threshold": ascending[last],
            "precision": num_right / num_accepted,
            "recall": num_right / max(num_answerable, 1),
            "num_accepted": num_accepted,
        }
    )


def average_precision(curve: pd.DataFrame) -> float:
    """Average a curve of `precision_recall` over the steps of recall, without interpolation."""
    steps = np.diff(curve["recall"].to_numpy(), prepend=0.0)
    return float((steps * curve["precision"].to_numpy()).sum())


def recall_at_precision(curve: pd.DataFrame, precision: float) -> float:
    """Find the largest recall at which precision is at least this high; 0 if there is none."""
    high = curve["recall"][curve["precision"] >= precision]
    return float(high.max()) if len(high) else 0.0


def fit_threshold(
    doubts: NDArray[np.float64], correct: NDArray[np.bool_], *, precision: float
) -> float:
    """Fit the largest threshold whose accepted predictions have this precision.

    For the first two see `precision_recall`; `precision` is the required share of right predictions
    among the accepted.

    Returns:
        A doubt, or `NONE` if no threshold is that precise.
    """
    curve = precision_recall(doubts, correct, num_answerable=len(correct))
    enough = curve["threshold"][curve["precision"] >= precision]
    return float(enough.max()) if len(enough) else NONE


def decide(
    doubts: NDArray[np.float64],
    correct: NDArray[np.bool_],
    *,
    num_answerable: int,
    precision: float | None,
    num_folds: int,
    by: By,
) -> Acceptance:
    """Accept queries so that at least a share of the accepted is right.

    This is the only place where something is fitted on the queries' truth.

    Args:
        doubts: Doubts about the first predictions, in the order of the route, shape (num_queries,).
        correct: Whether the first prediction is a positive, same shape.
        num_answerable: Number of queries that have a positive.
        precision: Required share; None: every query is accepted.
        num_folds: Contiguous parts of the route, each judged by a threshold from the others.
        by: Source of the doubts.
    """
    curve = precision_recall(doubts, correct, num_answerable=num_answerable)
    if by == "inliers":
        curve["threshold"] = curve["threshold"].map(inliers_at)
    if precision is None:
        return Acceptance(np.ones(len(doubts), dtype=np.bool_), None, num_answerable, curve, by)
    accepted = accept_out_of_fold(doubts, correct, precision=precision, num_folds=num_folds)
    threshold = fit_threshold(doubts, correct, precision=precision)
    return Acceptance(accepted, threshold, num_answerable, curve, by)


def accept_out_of_fold(
    doubts: NDArray[np.float64],
    correct: NDArray[np.bool_],
    *,
    precision: float,
    num_folds: int,
) -> NDArray[np.bool_]:
    """Find which queries are accepted by a threshold fitted without them.

    The route is cut into contiguous folds: neighbours look alike, so with random folds the
    threshold would be fitted on each query's neighbours.

    The arguments are those of `decide`. A single query leaves nothing to fit on, and is not
    accepted.
    """
    accepted = np.zeros(len(doubts), dtype=np.bool_)
    for fold in np.array_split(np.arange(len(doubts)), num_folds):
        others = np.ones(len(doubts), dtype=np.bool_)
        others[fold] = False
        threshold = fit_threshold(doubts[others], correct[others], precision=precision)
        accepted[fold] = doubts[fold] <= threshold
    return accepted
