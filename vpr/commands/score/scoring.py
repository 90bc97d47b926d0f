"""Recall of a ranking against a ground truth, without images and without a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.ground_truth import GroundTruth
from vpr.evaluation.recall import STANDARD_DEPTHS, first_correct_ranks, recall_of_ranks
from vpr.places.radius import find_positives

Score = dict[str, float | int]


def score_rankings(
    rankings: NDArray[np.int64], truth: GroundTruth, *, radius_m: float, ns: Sequence[int] | None
) -> Score:
    """Compute recall with both denominators that are in use.

    Args:
        rankings: Database indices, best first, shape (num_queries, depth); -1 is no candidate.
        truth: Positions of both sides.
        radius_m: A database image this near to a query is a positive, the edge included.
        ns: The depths N; None: those of 1, 5, 10 and 20 that the rankings reach.

    Returns:
        `recall@N` as a fraction of all queries, `recall@N_answerable` as a fraction of those that
        have a positive (left out if none has), how many each are, and the radius.

    Raises:
        ValueError: If the rankings do not reach some N.
    """
    depth = rankings.shape[1]
    chosen = [n for n in STANDARD_DEPTHS if n <= depth] if ns is None else ns
    too_deep = [n for n in chosen if not 1 <= n <= depth]
    if too_deep:
        raise ValueError(f"recall@N for N = {too_deep}: expected 1 to {depth}, the rankings' depth")
    positives = find_positives(
        truth.database.coordinates, truth.query.coordinates, radius_m=radius_m
    )
    ranks = first_correct_ranks(rankings, positives)
    answerable = np.diff(positives.indptr) > 0
    score: Score = {f"recall@{n}": of for n, of in recall_of_ranks(ranks, chosen).items()}
    if answerable.any():
        those = recall_of_ranks(ranks[answerable], chosen)
        score |= {f"recall@{n}_answerable": of for n, of in those.items()}
    score["num_queries"] = len(ranks)
    score["num_queries_answerable"] = int(answerable.sum())
    score["num_database"] = len(truth.database.paths)
    score["radius_m"] = radius_m
    return score


def tell_score(score: Score) -> str:
    """Write a score as a table, in percent as the papers have it, with both denominators."""
    answerable = score["num_queries_answerable"]
    lines = [
        f"{score['num_queries']} queries, {score['num_database']} database images, "
        f"positives within {score['radius_m']:g} m",
        f"{'':10}{'all queries':>16}{'with a positive':>20}",
        f"{'':10}{'of ' + str(score['num_queries']):>16}{'of ' + str(answerable):>20}",
    ]
    for name, recall in score.items():
        if name.startswith("recall@") and not name.endswith("_answerable"):
            rest = score.get(f"{name}_answerable")
            share = "-" if rest is None else f"{100 * rest:.2f} %"
            lines.append(f"{name:10}{f'{100 * recall:.2f} %':>16}{share:>20}")
    return "\n".join(lines)
