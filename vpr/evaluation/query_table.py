"""Results of each query: the table metrics/queries.csv."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.calibration import Judgement
from vpr.evaluation.recall import NEVER, first_correct_ranks
from vpr.places.index import ImageIndex
from vpr.places.radius import metres_between, turns_between
from vpr.reranking.verified_pairs import Evidence
from vpr.retrieval.predictions import Predictions


def tabulate_queries(
    predictions: Predictions,
    positives: csr_array,
    database: ImageIndex,
    query: ImageIndex,
    *,
    answers: Sequence[Judgement],
    held_out: NDArray[np.float64],
    evidence: Evidence | None,
) -> pd.DataFrame:
    """Tabulate the queries, one row each.

    Args:
        predictions: The ranked database of each query.
        positives: Query x database; stored entries are the positives.
        database: Index of the database.
        query: Index of the queries.
        answers: What is concluded about each query, as about any photo.
        held_out: Probability that the first prediction is right, by a calibration that did not see
            the query, shape (num_queries,); NaN: not calibrated.
        evidence: For each prediction; None where none were verified.

    Returns:
        `index,path,first_correct_rank,top1_path,top1_metres,top1_distance,distance_ratio,
        num_positives,accepted,state,probability,held_out_probability,position_metres,
        circle_metres`, `top1_turn_deg` where headings are known (the angle between the photos,
        empty if one is unknown), and `top1_inliers,top1_log10_nfa` where predictions were verified.
        The rank counts from 1 and is empty if no prediction is right; the ratio is that of the
        first prediction's distance and the smallest of the others' (above 1 where re-ranking put it
        before a nearer one), empty at depth 1. `accepted`, whether the state is known, `state` and
        `probability` are empty if answers are not calibrated; `position_metres` is the error of the
        estimated position, `circle_metres` the radius of the circle around it, empty if none is
        stated.
    """
    ranks = first_correct_ranks(predictions.indices, positives)
    top1 = predictions.indices[:, 0]
    nearest = predictions.distances[:, 0].astype(np.float64)
    states = [answer.state for answer in answers]
    middles = np.array([answer.middle for answer in answers])
    table = pd.DataFrame(
        {
            "index": np.arange(len(query.paths)),
            "path": query.paths,
            "first_correct_rank": pd.Series(ranks, dtype="Int64").where(pd.Series(ranks < NEVER)),
            "top1_path": [database.paths[image] for image in top1],
            "top1_metres": errors_in_metres(predictions.indices, database, query)[:, 0].round(3),
            "top1_distance": nearest.round(6),
            "distance_ratio": _ratios(predictions.distances),
            "num_positives": np.diff(positives.indptr),
            "accepted": [None if state is None else state == "known" for state in states],
            "state": states,
            "probability": [answer.probability for answer in answers],
            "held_out_probability": held_out.round(6),
            "position_metres": metres_between(middles, query.coordinates).round(3),
            "circle_metres": np.array([answer.circle_m for answer in answers], float).round(3),
        }
    )
    if database.heading is not None and query.heading is not None:
        turns = turns_between(query.heading, database.heading[top1])
        table = table.assign(top1_turn_deg=turns.round(1))
    if evidence is None:
        return table
    inliers, log10_nfa = (values[:, 0] for values in evidence)
    return table.assign(top1_inliers=inliers, top1_log10_nfa=log10_nfa)


def errors_in_metres(
    indices: NDArray[np.int64], database: ImageIndex, query: ImageIndex
) -> NDArray[np.float64]:
    """Compute the distance of each prediction from its query in metres, (num_queries, depth)."""
    return metres_between(database.coordinates[indices], query.coordinates[:, None, :])


def _ratios(distances: NDArray[np.float32]) -> NDArray[np.float64]:
    if distances.shape[1] < 2:
        return np.full(len(distances), np.nan)
    exact = distances.astype(np.float64)
    first, second = exact[:, 0], exact[:, 1:].min(axis=1)
    shares: NDArray[np.float64] = np.divide(
        first, second, out=np.ones_like(first), where=second > 0
    )
    return shares.round(6)


def check_sizes(
    predictions: Predictions, positives: csr_array, database: ImageIndex, query: ImageIndex
) -> None:
    """Check that files of a run are of the same images.

    Raises:
        ValueError: If they disagree on the number of queries or of database images.
    """
    of_predictions = (len(predictions.indices), predictions.num_database)
    of_index = (len(query.paths), len(database.paths))
    if not of_predictions == positives.shape == of_index:
        raise ValueError(
            "number of queries and database images: predictions have "
            f"{of_predictions}, positives {positives.shape}, the indices {of_index}"
        )
