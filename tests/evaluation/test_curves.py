"""Curves of answers by hand, by plain loops, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import det_curve

from vpr.evaluation.calibration import LEVELS
from vpr.evaluation.curves import (
    area_under_risk,
    circles_curve,
    coverage_at_risk,
    error_rates_curve,
    reliability_curve,
    risk_coverage_curve,
)


def test_risk_over_coverage_by_hand() -> None:
    # Surest first: right, then a right and a wrong one alike, then right, then wrong.
    probability = np.array([0.2, 0.8, 0.9, 0.5, 0.8])
    right = np.array([False, True, True, True, False])
    curve = risk_coverage_curve(probability, right)
    assert curve["coverage"].tolist() == [0.2, 0.6, 0.8, 1.0]
    assert curve["risk"].tolist() == [0, 1 / 3, 1 / 4, 2 / 5]
    assert coverage_at_risk(curve, 0.01) == 0.2
    assert coverage_at_risk(curve, 0.25) == 0.8  # the risk falls again
    assert coverage_at_risk(curve.drop(0), 0.01) == 0
    assert area_under_risk(curve) == pytest.approx(0.4 / 3 + 0.2 / 4 + 0.2 * 2 / 5)
    assert risk_coverage_curve(np.array([0.5, np.nan]), right[:2]).empty


def test_risk_over_coverage_is_a_plain_loop_s() -> None:
    rng = np.random.default_rng(0)
    probability, right = rng.random(200).round(2), rng.random(200) < 0.8
    for coverage, risk in risk_coverage_curve(probability, right).to_numpy().tolist():
        limits = [t for t in set(probability.tolist()) if np.mean(probability >= t) == coverage]
        assert len(limits) == 1
        given = [ok for ok, p in zip(right, probability, strict=True) if p >= limits[0]]
        assert risk == pytest.approx(1 - sum(given) / len(given))


def test_false_acceptance_and_rejection_by_hand_and_as_scikit_learn_has_them() -> None:
    curve = error_rates_curve(np.array([1.0, 2.0]), np.array([2.0, 3.0, 4.0]))
    assert curve["threshold"].tolist() == [1, 2, 3, 4]
    assert curve["false_acceptance"].tolist() == [1, 0.5, 0, 0]
    assert curve["false_rejection"].tolist() == [0, 0, 1 / 3, 2 / 3]
    assert error_rates_curve(np.empty(0), np.ones(2)).empty
    rng = np.random.default_rng(0)
    negatives, positives = rng.normal(size=80).round(1), rng.normal(1, size=120).round(1)
    ours = error_rates_curve(negatives, positives)
    truth = np.concatenate([np.zeros(80), np.ones(120)])
    theirs = det_curve(truth, np.concatenate([negatives, positives]))
    expected = {t: (fa, fr) for fa, fr, t in zip(*theirs, strict=True)}  # without flat ends
    for threshold, accepted, rejected in ours.to_numpy().tolist():
        if threshold in expected:
            assert (accepted, rejected) == pytest.approx(expected[threshold])
    assert len(expected) > 20


def test_reliability_is_that_of_scikit_learn_in_groups_of_equal_size() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(100)
    right = rng.random(100) < probability
    curve = reliability_curve(probability, right)
    share, stated = calibration_curve(right, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(curve["share_right"], share)
    np.testing.assert_allclose(curve["probability"], stated)
    assert curve["num_queries"].tolist() == [10] * 10
    assert len(reliability_curve(probability[:12], right[:12])) == 2  # five in each, at least
    assert reliability_curve(np.full(20, np.nan), right[:20]).empty


def test_circles_are_counted_at_each_level_where_there_are_any() -> None:
    radii = np.full((3, len(LEVELS)), np.nan)
    radii[:, 0] = [1, 2, 3]
    radii[0, 1] = 5
    curve = circles_curve(np.array([1.0, 2.5, 2.5]), radii)
    assert curve.to_numpy().tolist() == [[0.5, 2 / 3, 3], [0.6, 1, 1]]
