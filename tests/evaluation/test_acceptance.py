"""Known or unknown place: thresholds by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from vpr.evaluation.acceptance import (
    NONE,
    accept_out_of_fold,
    average_precision,
    decide,
    doubts_of_inliers,
    fit_threshold,
    inliers_at,
    precision_recall,
    recall_at_precision,
)
from vpr.evaluation.details import MIN_INLIERS, THRESHOLD, find_threshold
from vpr.evaluation.metrics import summarise_acceptance

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


def test_the_largest_threshold_that_is_precise_enough() -> None:
    assert fit_threshold(DISTANCES, CORRECT, precision=1.0) == 0.2
    assert fit_threshold(DISTANCES, CORRECT, precision=0.66) == 0.5
    assert fit_threshold(DISTANCES, ~CORRECT, precision=0.9) == NONE
    assert fit_threshold(DISTANCES[:0], CORRECT[:0], precision=0.9) == NONE


def test_a_query_is_judged_without_itself_and_its_neighbours() -> None:
    distances = np.array([0.3, 0.6, 0.5, 0.4])
    correct = np.array([False, True, True, True])
    accepted = accept_out_of_fold(distances, correct, precision=1.0, num_folds=2)
    # By the second half 0.5 is the limit, by the first none is: its nearest is wrong.
    assert accepted.tolist() == [True, False, False, False]
    assert not accept_out_of_fold(distances[:1], correct[:1], precision=0.5, num_folds=5).any()


def test_out_of_fold_decisions_do_not_see_the_query_s_own_truth() -> None:
    rng = np.random.default_rng(1)
    distances, correct = rng.random(40), rng.random(40) < 0.7
    for fold in np.array_split(np.arange(40), 4):
        changed = correct.copy()
        changed[fold] = ~changed[fold]
        before, after = (
            accept_out_of_fold(distances, truth, precision=0.8, num_folds=4)[fold]
            for truth in (correct, changed)
        )
        assert before.tolist() == after.tolist()


def metrics_of(precision: float | None) -> dict[str, object]:
    decided = decide(DISTANCES, CORRECT, num_answerable=8, precision=precision, num_folds=3,
                     by="distance")  # fmt: skip
    return dict(summarise_acceptance(decided, CORRECT))


def test_the_threshold_s_name_says_what_it_was_fitted_on() -> None:
    # Folds of two: the limits by the others are 0.3, 0.5 and 0.5; only query 0 lies beyond.
    found = metrics_of(0.6)
    assert found["accept_threshold_fitted_on_these_queries"] == 0.5
    assert found["num_accepted_out_of_fold"] == 5
    assert found["accept_precision_out_of_fold"] == 3 / 5
    assert found["accept_recall_out_of_fold"] == 3 / 8


def test_without_a_precision_all_are_accepted_and_nothing_is_fitted() -> None:
    decided = decide(DISTANCES, CORRECT, num_answerable=8, precision=None, num_folds=3,
                     by="distance")  # fmt: skip
    assert decided.accepted.all()
    assert not [name for name in metrics_of(None) if "fold" in name or "threshold" in name]


def test_precision_of_nothing_is_left_out() -> None:
    wrong = np.zeros(6, dtype=bool)
    decided = decide(DISTANCES, wrong, num_answerable=0, precision=1.0, num_folds=2,
                     by="distance")  # fmt: skip
    found = summarise_acceptance(decided, wrong)
    assert found["num_accepted_out_of_fold"] == 0
    assert found["accept_threshold_fitted_on_these_queries"] == NONE
    assert "accept_precision_out_of_fold" not in found


def test_inliers_accept_by_their_number() -> None:
    # More inliers are surer. Right: 90, 40, 40, 8; wrong: 12 and none.
    inliers, correct = np.array([90, 40, 12, 40, 8, 0]), np.array([1, 1, 0, 1, 1, 0], dtype=bool)
    decided = decide(doubts_of_inliers(inliers), correct, num_answerable=5, precision=0.75,
                     num_folds=6, by="inliers")  # fmt: skip
    assert decided.curve["threshold"].tolist() == [90, 40, 12, 8, 0]
    assert decided.curve["precision"].tolist() == [1, 1, 3 / 4, 4 / 5, 4 / 6]
    assert summarise_acceptance(decided, correct)["accept_min_inliers_fitted_on_these_queries"] == 8
    assert [inliers_at(doubt) for doubt in doubts_of_inliers(np.array([0, 7, 4000]))] == [
        0,
        7,
        4000,
    ]
    none = decide(doubts_of_inliers(inliers), ~correct, num_answerable=5, precision=1.0,
                  num_folds=6, by="inliers")  # fmt: skip
    found = summarise_acceptance(none, ~correct)["accept_min_inliers_fitted_on_these_queries"]
    assert found == NONE and not find_threshold({MIN_INLIERS: found}).accepts(0.1, 4000)


def test_a_recorded_threshold_is_of_distance_or_of_inliers() -> None:
    assert find_threshold({}).accepts(1.9, 0)
    by_distance = find_threshold({THRESHOLD: 0.7})
    assert by_distance.accepts(0.7, 0) and not by_distance.accepts(0.71, 4000)
    by_inliers = find_threshold({MIN_INLIERS: 30})
    assert by_inliers.accepts(1.9, 30) and not by_inliers.accepts(0.1, 29)
    for details in ({THRESHOLD: "far"}, {THRESHOLD: float("nan")}, [], {MIN_INLIERS: 2.5}):
        with pytest.raises(ValueError, match=r"accept_\w+ = .*: expected a"):
            find_threshold(details)
