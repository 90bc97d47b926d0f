"""Calibration on a run's queries, and what it does to queries that it was not fitted on.

The route is cut into contiguous blocks. Each block's answers come from a calibration on the others,
since neighbouring queries resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from vpr.evaluation.acceptance import find_map_limit, most_accepted
from vpr.evaluation.calibration import (
    APART,
    LEVELS,
    Calibration,
    PlaceModel,
    Ranked,
    State,
    circle_radius,
    find_features,
    find_states,
    mean_place,
)
from vpr.evaluation.params import By
from vpr.evaluation.uncertainty import usable_block_length
from vpr.places.radius import is_within, metres_between

MOST_BLOCKS = 10
FLAT = 1e-3  # log odds by which support must exceed that of wrong places: more than rounding


@dataclass(frozen=True)
class Sample:
    """What a calibration is fitted on.

    Args:
        by: Source of the doubts.
        doubts: About each prediction of each query, shape (num_queries, depth).
        places: Easting and northing of each, shape (num_queries, depth, 2).
        truth: Easting and northing of the queries, in the order of the route, (num_queries, 2).
        right: Whether the first prediction is a positive, shape (num_queries,).
        is_negative: Which queries have no positive, same shape.
        foreign: Doubts about the first predictions of photos from elsewhere.
        radius_m: Within which a prediction is right.
        num_candidates: Candidates of a query that are verified.
    """

    by: By
    doubts: NDArray[np.float64]
    places: NDArray[np.float64]
    truth: NDArray[np.float64]
    right: NDArray[np.bool_]
    is_negative: NDArray[np.bool_]
    foreign: NDArray[np.float64]
    radius_m: float
    num_candidates: int

    @property
    def ranked(self) -> Ranked:
        """The predictions of the queries."""
        return Ranked(self.by, self.doubts, self.places, self.radius_m)

    @property
    def negatives(self) -> NDArray[np.float64]:
        """Doubts about all photos from outside the map."""
        return np.concatenate([self.doubts[self.is_negative, 0], self.foreign])


@dataclass(frozen=True)
class HeldOut:
    """Answers of calibrations that did not see the query, or its block of the route.

    Args:
        probability: That the first prediction is right, shape (num_queries,); NaN: not calibrated.
        states: Of each query; None: not calibrated.
        wrong: Probability of the first wrong prediction, where the right ones are masked, one for
            each query that has one.
        wrong_known: Whether that would be enough to be known, same shape.
        errors_m: From the estimated position to the true one, shape (num_queries,).
        circles_m: Radii by `LEVELS`, shape (num_queries, num_levels); NaN: none is stated.
    """

    probability: NDArray[np.float64]
    states: list[State | None]
    wrong: NDArray[np.float64]
    wrong_known: NDArray[np.bool_]
    errors_m: NDArray[np.float64]
    circles_m: NDArray[np.float64]


def calibrate(
    sample: Sample, *, rate: float, confidence: float, block_length: int
) -> tuple[Calibration, HeldOut]:
    """Calibrate on all queries, and answer each by a calibration on other blocks of the route.

    The limit of the map depends on negatives only, and holds its rate without being cross-fitted.

    Args:
        sample: Queries, and photos from elsewhere.
        rate: False-acceptance rate of either threshold.
        confidence: With which negatives must show it, and of the intervals.
        block_length: Of the route, in queries, at least.
    """
    count = len(sample.right)
    length = max(usable_block_length(block_length, count), -(-count // MOST_BLOCKS))
    blocks = np.arange(count) // length
    support = sample.ranked.support()
    owners, wrong = find_wrong_support(sample.ranked, sample.truth)

    def fit(kept: NDArray[np.bool_]) -> PlaceModel | None:
        right = sample.right & kept
        share = (right.sum() + 1) / (kept.sum() + 2)  # Laplace's: never all, never none
        allowed = most_accepted(int(kept[owners].sum()), rate=rate, confidence=confidence)
        return fit_place(
            support[right], wrong[kept[owners]], share_right=share, allowed=max(allowed, 0)
        )

    map_limit = find_map_limit(
        sample.negatives, by=sample.by, num_candidates=sample.num_candidates, rate=rate,
        confidence=confidence,
    )  # fmt: skip
    place = fit(np.ones(count, bool))
    models = [fit(blocks != block) for block in range(blocks[-1] + 1)]
    fitted = [model for model in models if model is not None]
    if place is None or len(fitted) < len(models):
        place = None
        odds, least = np.full(count, np.nan), np.full(count, np.inf)
        wrong_odds = np.full(len(owners), np.nan)
    else:
        odds = _log_odds_of_blocks(fitted, support, blocks)
        wrong_odds = _log_odds_of_blocks(fitted, wrong, blocks[owners])
        least = np.array([model.least_log_odds for model in fitted])[blocks]
        place = replace(place, covariance=_jackknife([model.weights for model in fitted]))
    wrong_known = wrong_odds > least[owners]
    states: list[State | None] = [None] * count
    if map_limit is not None:
        states = [*find_states(sample.doubts[:, 0], odds - least, map_limit, 0.0)]
    errors = metres_between(mean_place(sample.ranked.weights(), sample.places), sample.truth)
    names = np.array([state or "" for state in states])
    groups = {state: names == state for state in ("known", "unsure")}
    groups["any"] = ~sample.is_negative  # the queries of the map
    calibration = Calibration(
        sample.by, sample.doubts.shape[1], sample.radius_m, confidence, map_limit, place,
        {name: circle_radius(errors[members]) for name, members in groups.items()},
    )  # fmt: skip
    stated = ("any",) if states.count(None) else ("known", "unsure")
    circles = _held_out_circles(errors, [groups[name] for name in stated], blocks)
    return calibration, HeldOut(
        expit(odds), states, expit(wrong_odds), wrong_known, errors, circles
    )


def _log_odds_of_blocks(
    models: Sequence[PlaceModel], support: NDArray[np.float64], blocks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the log odds of each support by the model that did not see its block."""
    odds = np.full(len(support), np.nan)
    for block, model in enumerate(models):
        odds[blocks == block] = model.log_odds(support[blocks == block])
    return odds


def _held_out_circles(
    errors_m: NDArray[np.float64], groups: list[NDArray[np.bool_]], blocks: NDArray[np.int64]
) -> NDArray[np.float64]:
    radii = np.full((len(errors_m), len(LEVELS)), np.nan)
    for members in groups:
        for block in np.unique(blocks[members]):
            others = errors_m[members & (blocks != block)]
            found = [circle_radius(others, level) for level in LEVELS]
            radii[members & (blocks == block)] = np.array(found, dtype=np.float64)
    return radii


def _jackknife(weights: list[list[float]]) -> list[list[float]]:
    """Covariance of weights from those without one block each (Künsch, Ann. Statist. 1989)."""
    deviations = np.array(weights) - np.mean(weights, axis=0)
    covariance: list[list[float]] = (
        (len(weights) - 1) / len(weights) * deviations.T @ deviations
    ).tolist()
    return covariance


def find_wrong_support(
    ranked: Ranked, truth: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Measure what speaks for the first wrong prediction, as if the right place were not there.

    Predictions within the radius of the query, and a margin as wide, are masked. If no other
    prediction has inliers, none was verified, and the query is left out.

    Args:
        ranked: The predictions of the queries.
        truth: Easting and northing of the queries, shape (num_queries, 2).

    Returns:
        The queries that have wrong predictions, ascending, and the support of each, as
        `Ranked.support`.
    """
    wrong = ~is_within(ranked.places, truth[:, None, :], radius_m=APART * ranked.radius_m)
    order = np.argsort(~wrong, axis=1, kind="stable")  # the wrong ones first, in their order
    masked = np.take_along_axis(np.where(wrong, ranked.doubts, np.nan), order, axis=1)
    left = np.take_along_axis(ranked.places, order[:, :, None], axis=1)
    speaks = ~np.isnan(masked) if ranked.by == "distance" else masked < 0
    queries = np.flatnonzero(speaks.any(axis=1))
    return queries, replace(ranked, doubts=masked[queries], places=left[queries]).support()


def fit_place(
    right: NDArray[np.float64], wrong: NDArray[np.float64], *, share_right: float, allowed: int
) -> PlaceModel | None:
    """Fit the probability of being right by logistic regression.

    Right first predictions and masked queries are two samples, weighted as often as each occurs. A
    measure that would speak against what it supports is left out.

    Args:
        right: Support of right first predictions, shape (num_right, 2).
        wrong: Support of wrong ones, shape (num_wrong, 2).
        share_right: How often first predictions are right.
        allowed: How many of the wrong may exceed the least log odds.

    Returns:
        None if there is no right or no wrong one.
    """
    if not len(right) or not len(wrong):
        return None
    from sklearn.linear_model import LogisticRegression  # here, since it takes a second to import

    roots = find_features(np.concatenate([right, wrong]))[:, :2]
    scale = np.where(np.ptp(roots, axis=0) > 0, roots.std(axis=0), 1.0)
    is_right = np.arange(len(roots)) < len(right)
    each = np.where(is_right, share_right / len(right), (1 - share_right) / len(wrong)) * len(roots)
    weights = np.array([0.0, 0.0, logit(share_right)])
    used = [0, 1]
    while used:
        model = LogisticRegression().fit(roots[:, used] / scale[used], is_right, each)
        slopes = model.coef_[0] / scale[used]
        if (slopes >= 0).all():
            weights[used], weights[2] = slopes, model.intercept_[0]
            break
        used.pop(int(np.argmin(slopes)))
    edge = np.sort(find_features(wrong) @ weights)[::-1][allowed]
    return PlaceModel(weights.tolist(), np.zeros((3, 3)).tolist(), float(edge) + FLAT)
