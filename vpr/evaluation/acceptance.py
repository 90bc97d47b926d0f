"""Known or unknown place: which first predictions to accept, by their distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NONE = -1.0  # a threshold that accepts nothing; distances begin at 0


@dataclass(frozen=True)
class Acceptance:
    """Which queries are taken for known places.

    Args:
        accepted: Shape (num_queries,); by thresholds that were fitted without the query.
        threshold: The largest distance to accept from now on, fitted on all of these queries;
            None: whatever comes is accepted.
        num_answerable: Queries that have a positive.
        curve: Precision and recall over all thresholds.
    """

    accepted: NDArray[np.bool_]
    threshold: float | None
    num_answerable: int
    curve: pd.DataFrame


def precision_recall(
    distances: NDArray[np.float64], correct: NDArray[np.bool_], *, num_answerable: int
) -> pd.DataFrame:
    """Precision and recall over thresholds on the distance of the first prediction.

    Recall is what was accepted and is right, among the queries that have a positive: so it ends at
    recall@1 of those, not at 1 as where only the right ones are counted.

    Args:
        distances: Of the first prediction, shape (num_queries,).
        correct: Whether it is a positive, same shape.
        num_answerable: Queries that have a positive.

    Returns:
        `threshold,precision,recall,num_accepted`: a row for each distance that occurs, ascending;
        a threshold accepts all distances up to itself.
    """
    order = np.argsort(distances, kind="stable")
    ascending = distances[order]
    last = np.append(np.diff(ascending) > 0, True)[: len(order)]  # of each run of equal distances
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
    """Precision averaged over the steps of recall, without interpolation.

    Args:
        curve: As `precision_recall` gives it.
    """
    steps = np.diff(curve["recall"].to_numpy(), prepend=0.0)
    return float((steps * curve["precision"].to_numpy()).sum())


def recall_at_precision(curve: pd.DataFrame, precision: float) -> float:
    """Find the largest recall at which precision is at least this high; 0 if there is none."""
    high = curve["recall"][curve["precision"] >= precision]
    return float(high.max()) if len(high) else 0.0


def fit_threshold(
    distances: NDArray[np.float64], correct: NDArray[np.bool_], *, precision: float
) -> float:
    """Fit the largest threshold at which this share of what it accepts is right.

    Args:
        distances: Of the first prediction, shape (num_queries,).
        correct: Whether it is a positive, same shape.
        precision: The share asked for.

    Returns:
        A distance, or `NONE` if no threshold is that precise.
    """
    curve = precision_recall(distances, correct, num_answerable=len(correct))
    enough = curve["threshold"][curve["precision"] >= precision]
    return float(enough.max()) if len(enough) else NONE


def decide(
    distances: NDArray[np.float64],
    correct: NDArray[np.bool_],
    *,
    num_answerable: int,
    precision: float | None,
    num_folds: int,
) -> Acceptance:
    """Accept queries so that at least a share of the accepted is right.

    This is the one place where something is fitted on the truth of queries.

    Args:
        distances: Of the first prediction, in the order of the route, shape (num_queries,).
        correct: Whether it is a positive, same shape.
        num_answerable: Queries that have a positive.
        precision: The share asked for; None: every query is accepted.
        num_folds: Contiguous parts of the route, each judged by a threshold from the others.
    """
    curve = precision_recall(distances, correct, num_answerable=num_answerable)
    if precision is None:
        return Acceptance(np.ones(len(distances), dtype=np.bool_), None, num_answerable, curve)
    accepted = accept_out_of_fold(distances, correct, precision=precision, num_folds=num_folds)
    threshold = fit_threshold(distances, correct, precision=precision)
    return Acceptance(accepted, threshold, num_answerable, curve)


def accept_out_of_fold(
    distances: NDArray[np.float64],
    correct: NDArray[np.bool_],
    *,
    precision: float,
    num_folds: int,
) -> NDArray[np.bool_]:
    """Find which queries are accepted by a threshold that was fitted without them.

    The route is cut into contiguous folds: neighbours look alike, so that folds drawn at random
    would have each query's neighbours in what the threshold is fitted on.

    Args:
        distances: Of the first prediction, in the order of the route, shape (num_queries,).
        correct: Whether it is a positive, same shape.
        precision: The share of right ones asked for among the accepted.
        num_folds: At least 2; with a single query nothing is left to fit on, and none is accepted.
    """
    accepted = np.zeros(len(distances), dtype=np.bool_)
    for fold in np.array_split(np.arange(len(distances)), num_folds):
        others = np.ones(len(distances), dtype=np.bool_)
        others[fold] = False
        threshold = fit_threshold(distances[others], correct[others], precision=precision)
        accepted[fold] = distances[fold] <= threshold
    return accepted
