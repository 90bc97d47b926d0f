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
    find_map_limit,
    limit_of_model,
    most_accepted,
    negatives_needed,
)
from vpr.evaluation.curves import average_precision, precision_recall, recall_at_precision
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


def test_the_number_of_negatives_that_show_a_rate_is_the_rule_of_three() -> None:
    # None of 299 accepted: 0.99^299 = 0.0495; of 298 it is 0.0500 and a hair.
    assert negatives_needed(rate=0.01, confidence=0.95) == 299
    assert most_accepted(299, rate=0.01, confidence=0.95) == 0
    assert most_accepted(298, rate=0.01, confidence=0.95) == -1
    assert most_accepted(0, rate=0.01, confidence=0.95) == -1


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_number_that_may_be_accepted_is_that_of_the_exact_interval(rate: float) -> None:
    for count in range(0, 1200, 113):
        expected = -1
        for accepted in range(count):
            # A one-sided bound at 95 % is the upper end of a two-sided interval at 90 %.
            bound = binomtest(accepted, count).proportion_ci(0.9, method="exact").high
            if bound > rate:
                break
            expected = accepted
        assert most_accepted(count, rate=rate, confidence=0.95) == expected


def limit_by(by: By, negatives: Doubts, *, rate: float) -> float | None:
    return find_map_limit(negatives, by=by, num_candidates=20, rate=rate, confidence=0.95)


def test_distance_is_not_calibrated_without_enough_negatives() -> None:
    assert limit_by("distance", np.empty(0), rate=0.01) is None
    assert limit_by("distance", np.linspace(1.2, 1.4, 298), rate=0.01) is None
    assert limit_by("distance", np.linspace(1.2, 1.4, 299), rate=0.01) == np.nextafter(1.2, 0)


def test_a_limit_of_distance_lies_below_the_negatives_that_may_not_be_accepted() -> None:
    # 93 negatives show 5 % if one is accepted: the limit is just below the second.
    assert most_accepted(93, rate=0.05, confidence=0.95) == 1
    negatives = np.linspace(0.5, 1.4, 93)
    assert limit_by("distance", negatives[::-1], rate=0.05) == np.nextafter(negatives[1], 0)


def test_a_calibrated_limit_holds_its_rate_on_new_negatives() -> None:
    rng, broken = np.random.default_rng(0), 0
    for _ in range(200):
        limit = limit_by("distance", rng.random(100), rate=0.05)
        assert limit is not None
        broken += limit > 0.05  # of uniform doubts the limit is the true rate
    assert broken <= 18  # 5 % are expected; more have a probability below 1 %


def test_the_limit_of_inliers_is_the_model_s_until_negatives_say_more() -> None:
    model = limit_of_model(0.01, num_candidates=20)
    assert model == pytest.approx(DISPERSION * (-2 - math.log10(20)))
    for negatives, limit in (
        ([], model),
        ([-10.0, 0.0], model),  # two say little
        ([-100.0, 0.0], np.nextafter(-100.0, -np.inf)),  # but that the model is too optimistic
        (np.linspace(-100, -80, 600), np.linspace(-100, -80, 600)[1]),  # 1 of 600 shows 1 %
        (np.linspace(-20, 0, 600), np.linspace(-20, 0, 600)[1]),  # and that it is too strict
    ):
        assert limit_by("inliers", np.array(negatives), rate=0.01) == pytest.approx(limit)
