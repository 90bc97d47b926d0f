"""Known or unknown place: thresholds by hand, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, precision_recall_curve

from vpr.evaluation.acceptance import (
    DISPERSION,
    Acceptance,
    average_precision,
    decide,
    limit_of_model,
    most_accepted,
    negatives_needed,
    precision_recall,
    recall_at_precision,
)
from vpr.evaluation.details import find_threshold
from vpr.evaluation.metrics import summarise_acceptance
from vpr.evaluation.params import By

Doubts = NDArray[np.float64]

# Six queries by distance: right, right, wrong and right at the same distance, wrong, right. Of
# eight queries that have a positive these are the nearest; two more have none.
DISTANCES = np.array([0.5, 0.1, 0.3, 0.3, 0.2, 0.4])
CORRECT = np.array([True, True, False, True, True, False])


def test_precision_and_recall_over_thresholds_by_hand() -> None:
    curve = precision_recall(DISTANCES, CORRECT, num_answerable=8)
    assert curve["threshold"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert curve["num_accepted"].tolist() == [1, 2, 4, 5, 6]
    assert curve["precision"].tolist() == [1, 1, 3 / 4, 3 / 5, 4 / 6]
    assert curve["recall"].tolist() == [1 / 8, 2 / 8, 3 / 8, 3 / 8, 4 / 8]
    assert average_precision(curve) == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 8)
    assert recall_at_precision(curve, 1.0) == 2 / 8
    assert recall_at_precision(curve, 0.65) == 4 / 8
    assert recall_at_precision(curve.drop([0, 1]), 0.99) == 0


def test_the_curve_is_scikit_learns_with_another_denominator() -> None:
    rng = np.random.default_rng(0)
    correct = rng.random(300) < 0.6
    distances = (rng.normal(size=300) - correct).round(1)  # rounded: many are equal
    curve = precision_recall(distances, correct, num_answerable=240)
    precision, recall, _ = precision_recall_curve(correct, -distances)
    share = correct.sum() / 240  # theirs ends at 1, ours at recall@1
    np.testing.assert_allclose(curve["precision"], precision[:-1][::-1])
    np.testing.assert_allclose(curve["recall"], share * recall[:-1][::-1])
    expected = share * average_precision_score(correct, -distances)
    assert average_precision(curve) == pytest.approx(expected)
    assert curve["recall"].iloc[-1] == share


def decided_by(
    by: By, doubts: Doubts, num_negatives: int, *, rate: float, candidates: int = 20
) -> Acceptance:
    """The last queries are the negatives; of the others the first half is right."""
    is_negative = np.arange(len(doubts)) >= len(doubts) - num_negatives
    correct = np.arange(len(doubts)) < (len(doubts) - num_negatives) / 2
    return decide(
        doubts, correct, is_negative, by=by, num_candidates=candidates, rate=rate, confidence=0.95
    )


def test_the_number_of_negatives_that_show_a_rate_is_the_rule_of_three() -> None:
    # None of 299 accepted: 0.99^299 = 0.0495; of 298 it is 0.0500 and a hair.
    assert negatives_needed(rate=0.01, confidence=0.95) == 299
    assert most_accepted(299, rate=0.01, confidence=0.95) == 0
    assert most_accepted(298, rate=0.01, confidence=0.95) == -1
    assert most_accepted(0, rate=0.01, confidence=0.95) == -1


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_number_that_may_be_accepted_is_that_of_the_exact_interval(rate: float) -> None:
    for count in range(0, 1200, 37):
        expected = -1
        for accepted in range(count):
            # A one-sided bound at 95 % is the upper end of a two-sided interval at 90 %.
            bound = binomtest(accepted, count).proportion_ci(0.9, method="exact").high
            if bound > rate:
                break
            expected = accepted
        assert most_accepted(count, rate=rate, confidence=0.95) == expected


def test_distance_is_not_calibrated_by_queries_that_all_lie_in_the_map() -> None:
    decided = decided_by("distance", np.linspace(0.1, 0.9, 120), 0, rate=0.01)
    assert decided.limit is None and decided.accepted is None
    found = summarise_acceptance(decided, np.ones(120, bool))
    assert found["accept_calibrated"] is False
    assert (found["num_negatives"], found["num_negatives_needed"]) == (0, 299)
    assert not [name for name in found if "max" in name or "accepted" in name]
    assert find_threshold(found).accepts(0.0, None) is None


def test_a_limit_of_distance_lies_below_the_negatives_that_may_not_be_accepted() -> None:
    # 93 negatives show 5 % if one is accepted: the limit is just below the second.
    assert most_accepted(93, rate=0.05, confidence=0.95) == 1
    known, negatives = np.linspace(0.1, 0.6, 40), np.linspace(0.5, 1.4, 93)
    decided = decided_by("distance", np.concatenate([known, negatives]), 93, rate=0.05)
    assert decided.limit == np.nextafter(negatives[1], 0)
    found = summarise_acceptance(decided, np.arange(133) < 20)
    num_known = int((known < negatives[1]).sum())
    assert found["accept_calibrated"] is True
    assert found["num_negatives_accepted"] == 1
    assert found["num_accepted"] == num_known + 1
    assert found["accept_recall"] == 20 / 40
    assert found["accept_precision"] == 20 / (num_known + 1)
    assert find_threshold(found).accepts(0.5, None) is True
    assert find_threshold(found).accepts(float(negatives[1]), None) is False


def test_a_calibrated_limit_holds_its_rate_on_new_negatives() -> None:
    rng, broken = np.random.default_rng(0), 0
    for _ in range(200):
        decided = decided_by("distance", rng.random(100), 100, rate=0.05)
        broken += decided.limit > 0.05  # of uniform doubts the limit is the true rate
    assert broken <= 18  # 5 % are expected; more have a probability below 1 %


def test_inliers_are_accepted_by_the_model_where_there_are_no_negatives() -> None:
    doubts = np.array([-300.0, -50.0, -45.0, 0.0])
    decided = decided_by("inliers", doubts, 0, rate=0.01)
    assert decided.limit == pytest.approx(DISPERSION * (-2 - math.log10(20)))
    found = summarise_acceptance(decided, np.ones(4, bool))
    assert found["accept_calibrated"] is True and found["num_accepted"] == 2
    threshold = find_threshold(found)
    assert threshold.accepts(0.1, None) is threshold.accepts(0.1, -45.0) is False
    assert threshold.accepts(1.9, -50.0) is True


def test_the_precision_of_nothing_is_left_out() -> None:
    found = summarise_acceptance(
        decided_by("inliers", np.zeros(4), 0, rate=0.01), np.zeros(4, bool)
    )
    assert found["num_accepted"] == 0 and "accept_precision" not in found


def test_negatives_that_the_model_would_accept_make_the_limit_stricter() -> None:
    model = limit_of_model(0.01, num_candidates=20)
    for negatives, limit in (
        ([-10.0, 0.0], model),
        ([-100.0, 0.0], np.nextafter(-100.0, -np.inf)),
        (np.linspace(-100, -80, 600), np.linspace(-100, -80, 600)[1]),  # 1 of 600 shows 1 %
    ):
        doubts = np.concatenate([[-300.0, -50.0], negatives])
        decided = decided_by("inliers", doubts, len(negatives), rate=0.01)
        assert decided.limit == pytest.approx(limit)


@pytest.mark.parametrize("details", [
    [], {}, {"accept_calibrated": "yes"}, {"accept_calibrated": True},
    {"accept_calibrated": False, "accept_max_distance": 1.0},
    {"accept_calibrated": True, "accept_max_distance": 1.0, "accept_max_log10_nfa": -20.0},
    {"accept_calibrated": True, "accept_max_distance": "far"},
    {"accept_calibrated": True, "accept_max_distance": float("nan")},
    {"accept_calibrated": True, "accept_max_log10_nfa": True},
    # Of a version that accepted without any negative.
    {"accept_threshold_fitted_on_these_queries": 1.3},
])  # fmt: skip
def test_a_limit_that_is_no_limit_is_refused(details: object) -> None:
    with pytest.raises(ValueError, match=r"accept_\w+"):
        find_threshold(details)
