"""Is a photo of this map at all: the doubt about its first prediction, and the limit on it.

The smaller the doubt, the surer. By distance it is the descriptors' distance, by inliers log10 NFA
(`log10_false_alarms`). The limit holds a false-acceptance rate: the share of photos of
places outside the map that are taken for photos of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from vpr.evaluation.params import By
from vpr.reranking.verified_pairs import Evidence
from vpr.retrieval.predictions import Predictions

# The background model draws matches independently. Those of photos are not: skylines match skylines
# at like heights. So log10 of the probability falls more slowly than log10 NFA, by this factor on
# photos of other places, see docs/experiments/unknown_places.md.
DISPERSION = 14.0
# Names of the limit in metrics/details.json.
LIMITS: dict[By, str] = {"distance": "accept_max_distance", "inliers": "accept_max_log10_nfa"}


def doubts_about(
    by: By, predictions: Predictions, evidence: Evidence | None
) -> NDArray[np.float64]:
    """Compute the doubt about each prediction, shape (num_queries, depth).

    Args:
        by: Source of the doubts.
        predictions: The ranked database of each query.
        evidence: For each prediction; None without re-ranking.

    Raises:
        ValueError: If doubts are to come from inliers and there are none.
    """
    if by == "distance":
        return predictions.distances.astype(np.float64)
    if evidence is None:
        raise ValueError(
            "evaluate.accept_by = inliers: none are counted with rerank.method = none: set a "
            "matcher there, or accept by distance"
        )
    return evidence.log10_nfa


def find_map_limit(
    negatives: NDArray[np.float64], *, by: By, num_candidates: int, rate: float, confidence: float
) -> float | None:
    """Find the largest doubt that is accepted at a false-acceptance rate; None: not calibrated.

    Where negatives are enough to show the rate, the limit is fitted on them, so that what it does
    to the queries of the map is out of sample. Where they are too few there is none by distance; by
    inliers it comes from the background model, and negatives make it stricter where they show that
    the model is too optimistic.

    Args:
        negatives: Doubts about the first predictions of photos from outside the map.
        by: Source of the doubts.
        num_candidates: Candidates of a query that are verified; of no meaning by distance.
        rate: The false-acceptance rate asked for.
        confidence: With which negatives must show it.
    """
    allowed = most_accepted(len(negatives), rate=rate, confidence=confidence)
    if allowed >= 0:
        return limit_of_negatives(negatives, allowed)
    if by == "distance":
        return None
    model = limit_of_model(rate, num_candidates=num_candidates)
    return min(model, limit_of_negatives(negatives, 0)) if len(negatives) else model


def most_accepted(num_negatives: int, *, rate: float, confidence: float) -> int:
    """Find how many negatives may be accepted for the rate to be shown; -1: they are too few.

    With so many accepted, the one-sided exact bound on the rate (Clopper and Pearson 1934) is at
    most `rate`. It also holds for a limit that is put below the next negative: that is a tolerance
    limit free of a distribution (Wilks 1941).
    """
    # The number of counts whose probability to be reached or undercut is at most 1 - confidence.
    below = bdtr(np.arange(num_negatives + 1.0), num_negatives, rate) < 1 - confidence
    return int(below.sum()) - 1


def negatives_needed(*, rate: float, confidence: float) -> int:
    """Count the negatives that show a rate if none is accepted: about 3 / rate at 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def limit_of_negatives(negatives: NDArray[np.float64], allowed: int) -> float:
    """Find the largest doubt that accepts at most so many negatives.

    Args:
        negatives: The doubts about them, more than `allowed`.
        allowed: How many may be accepted.
    """
    return float(np.nextafter(np.sort(negatives)[allowed], -np.inf))


def limit_of_model(rate: float, *, num_candidates: int) -> float:
    """Find the largest log10 NFA that chance reaches in this share of photos, by the model.

    Args:
        rate: The share.
        num_candidates: Candidates of a photo, any of which chance may favour.
    """
    return DISPERSION * math.log10(rate / num_candidates)
