"""What a run's answers are worth: shares of known, unsure and unknown, risk, and their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from vpr.evaluation.acceptance import LIMITS, negatives_needed
from vpr.evaluation.calibration import LEVEL, LEVELS, Calibration, State
from vpr.evaluation.cross_fitting import HeldOut, Sample
from vpr.evaluation.curves import (
    area_under_risk,
    average_precision,
    circles_curve,
    coverage_at_risk,
    error_rates_curve,
    precision_recall,
    recall_at_precision,
    reliability_curve,
    risk_coverage_curve,
)
from vpr.evaluation.metrics import Metrics
from vpr.evaluation.uncertainty import exact_interval

STATES: tuple[State, ...] = ("known", "unsure", "unknown")


def answer_curves(sample: Sample, held: HeldOut) -> dict[str, pd.DataFrame]:
    """Compute the curves of a run's answers, by name.

    `map_errors` takes photos from outside the map for negatives, `place_errors` the first wrong
    prediction of each query, `precision_recall` and `risk_coverage` any wrong first prediction.
    Where positions are unknown, curves have no rows.
    """
    doubts, answerable = sample.doubts[:, 0], ~sample.is_negative
    curves = {
        "precision_recall": precision_recall(
            doubts, sample.right, num_answerable=int(answerable.sum())
        ),
        "map_errors": error_rates_curve(-sample.negatives, -doubts[sample.right]),
        "place_errors": error_rates_curve(
            *(of[~np.isnan(of)] for of in (held.wrong, held.probability[sample.right]))
        ),
        "risk_coverage": risk_coverage_curve(held.probability, sample.right),
        "reliability": reliability_curve(held.probability, sample.right),
        "circles": circles_curve(held.errors_m, held.circles_m),
    }
    num_rows = 0 if np.isnan(held.errors_m).any() else None
    return {name: curve[:num_rows] for name, curve in curves.items()}


def summarise_map_question(
    sample: Sample, calibration: Calibration, *, rate: float, confidence: float
) -> Metrics:
    """Summarise whether photos from outside the map are told from photos of it.

    Returns:
        Whether answers are calibrated; the number of negatives (queries without a positive), of
        photos from elsewhere, and of those that show the rate if none is accepted; the limit, and
        the share of both that it accepts, with its exact interval, as far as they exist.
    """
    found: Metrics = {
        "accept_calibrated": calibration.decides,
        "num_negatives": int(sample.is_negative.sum()),
        "num_foreign": len(sample.foreign),
        "num_negatives_needed": negatives_needed(rate=rate, confidence=confidence),
    }
    if calibration.map_limit is not None:
        found[LIMITS[sample.by]] = calibration.map_limit
        is_accepted = sample.negatives <= calibration.map_limit
        found |= _share("map_false_acceptance", is_accepted, confidence)
    return found


def summarise_answers(
    sample: Sample,
    calibration: Calibration,
    held: HeldOut,
    curves: Mapping[str, pd.DataFrame],
    foreign: Sequence[State | None],
    *,
    confidence: float,
) -> Metrics:
    """Summarise the answers, each by a calibration that did not see the query.

    Args:
        sample: Queries.
        calibration: On all of them.
        held: Their answers.
        curves: Of `answer_curves`.
        foreign: Answers about photos from elsewhere, by the calibration on all queries.
        confidence: Of the exact intervals.

    Returns:
        If places are calibrated, the number of queries with a wrong prediction, the least
        probability of a known place, and the share of the wrong that reach it in a calibration that
        did not see them, with its exact interval. Average precision and recall at 100 % and 99 %
        precision of the doubts, then coverage at 1 % risk and the area under risk over coverage of
        the probabilities: in all of these any wrong first prediction is a negative. If answers are
        calibrated, the share of each, also of photos from elsewhere; `accept_recall`, the share of
        queries with a positive that are known and right; `accept_precision`, the share of the known
        that are right. Last, how many of the circles that are stated hold the true position.
    """
    found: Metrics = {}
    if calibration.place is not None:
        found["num_wrong_places"] = len(held.wrong)
        found["place_min_probability"] = float(expit(calibration.place.least_log_odds))
        found |= _share("place_false_acceptance", held.wrong_known, confidence)
    by_doubt, risk = curves["precision_recall"], curves["risk_coverage"]
    found |= {
        "average_precision": average_precision(by_doubt),
        "recall_at_precision_100": recall_at_precision(by_doubt, 1.0),
        "recall_at_precision_99": recall_at_precision(by_doubt, 0.99),
    }
    if len(risk):
        found["coverage_at_risk_1"] = coverage_at_risk(risk, 0.01)
        found["area_under_risk_coverage"] = area_under_risk(risk)
    states = np.array([state or "" for state in held.states])
    if None not in held.states:
        known = states == "known"
        num_right = int((known & sample.right).sum())
        found |= {f"share_{state}": float((states == state).mean()) for state in STATES}
        found["num_accepted"] = int(known.sum())
        found["num_negatives_accepted"] = int((known & sample.is_negative).sum())
        found["accept_recall"] = num_right / max(int((~sample.is_negative).sum()), 1)
        if known.any():  # the precision of nothing is undefined, and NaN is not JSON
            found["accept_precision"] = num_right / int(known.sum())
        for state in STATES if foreign else ():
            answered = np.array([of == state for of in foreign])
            found |= _share(f"foreign_{state}", answered, confidence)
    radii = held.circles_m[:, LEVELS.index(LEVEL)]
    stated = ~np.isnan(radii)
    return found | _share("circles_hold", held.errors_m[stated] <= radii[stated], confidence)


def _share(name: str, flags: NDArray[np.bool_], confidence: float) -> Metrics:
    """A share with its exact interval and the number it is of; the number alone if that is 0."""
    found: Metrics = {f"{name}_of": len(flags)}
    if len(flags):
        found[name] = float(flags.mean())
        interval = exact_interval(int(flags.sum()), len(flags), confidence=confidence)
        found[f"{name}_interval"] = list(interval)
    return found
