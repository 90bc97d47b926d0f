"""Known, unsure or unknown: support and positions by hand, calibrations on drawn routes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from vpr.evaluation.answers import answer_curves, summarise_answers, summarise_map_question
from vpr.evaluation.calibration import (
    LEVEL,
    LEVELS,
    Calibration,
    PlaceModel,
    Ranked,
    circle_radius,
    load_calibration,
    mean_place,
    save_calibration,
)
from vpr.evaluation.cross_fitting import Sample, calibrate, find_wrong_support, fit_place
from vpr.evaluation.uncertainty import exact_interval

# A photo with four predictions along a street, of places at 0, 20, 70 and 300 m.
PLACES = np.array([[[0.0, 0], [20, 0], [70, 0], [300, 0]]])
NFA = np.array([[-90.0, -60.0, -40.0, -50.0]])
DISTANCES = np.array([[0.9, 0.7, 1.1, 1.3]])


def test_support_is_the_evidence_and_its_lead_over_other_places() -> None:
    # Farther than 2 x 25 m from the first are the last two.
    assert Ranked("inliers", NFA, PLACES, 25).support().tolist() == [[90, 40]]
    (row,) = Ranked("distance", DISTANCES, PLACES, 25).support().tolist()
    assert row == pytest.approx([-0.9, 0.2])
    # No prediction elsewhere: one without inliers, or no nearer than the last.
    assert Ranked("inliers", NFA, PLACES, 200).support().tolist() == [[90, 90]]
    (row,) = Ranked("distance", DISTANCES, PLACES, 200).support().tolist()
    assert row == pytest.approx([-0.9, 0.4])


def test_the_first_wrong_prediction_is_found_behind_the_masked_ones() -> None:
    # The photo was taken at 10 m: the first two are masked, and lead 300 m over 70 m.
    queries, support = find_wrong_support(Ranked("inliers", NFA, PLACES, 25), np.array([[10.0, 0]]))
    assert queries.tolist() == [0] and support.tolist() == [[40, -10]]
    doubts = np.concatenate([NFA, [[-90.0, -60, 0, 0]], NFA])
    truth = np.array([[10.0, 0], [10, 0], [150, 0]])
    queries, support = find_wrong_support(
        Ranked("inliers", doubts, np.tile(PLACES, (3, 1, 1)), 100), truth
    )
    assert queries.tolist() == [0]  # the second has none verified elsewhere, the third none at all
    queries, _ = find_wrong_support(
        Ranked("distance", doubts + 100, np.tile(PLACES, (3, 1, 1)), 25), truth
    )
    assert queries.tolist() == [0, 1, 2]


def test_the_position_is_the_mean_of_verified_matches_that_agree() -> None:
    weights = Ranked("inliers", NFA, PLACES, 25).weights()
    assert weights[0].tolist() == pytest.approx([9 / 13, 4 / 13, 0, 0])  # 90 and 60 squared
    assert mean_place(weights, PLACES)[0].tolist() == pytest.approx([20 * 4 / 13, 0])
    unverified = np.zeros((1, 4))
    for by, doubts in (("distance", DISTANCES), ("inliers", unverified)):
        weights = Ranked(by, doubts, PLACES, 25).weights()  # type: ignore[arg-type]
        assert weights.tolist() == [[1, 0, 0, 0]]


def test_a_position_keeps_the_digits_of_utm() -> None:
    weights = np.array([[0.5, 0.5, 0, 0]])
    offset = np.array([389_123.125, 5_818_456.0625])
    assert mean_place(weights, PLACES + offset).tolist() == [[389_133.125, 5_818_456.0625]]


def test_the_radius_of_a_circle_is_an_order_statistic() -> None:
    errors = np.arange(1.0, 20)[::-1]  # 19: of 20 ranks the 18th is 90 %
    assert circle_radius(errors, 0.9) == 18
    assert circle_radius(np.arange(1.0, 10), 0.9) == 9
    assert circle_radius(np.arange(1.0, 9), 0.9) is None  # 8 are too few
    rng, held = np.random.default_rng(0), []
    for _ in range(500):
        drawn = rng.exponential(size=40)
        radius = circle_radius(drawn[1:], LEVEL)
        assert radius is not None
        held.append(drawn[0] <= radius)
    low, high = binomtest(sum(held), len(held)).proportion_ci(0.99)
    assert low <= LEVEL <= high


@pytest.mark.parametrize(("hits", "count"), [(0, 30), (3, 30), (30, 30), (1, 1)])
def test_the_exact_interval_is_scipy_s(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.95, method="exact")
    assert exact_interval(hits, count, confidence=0.95) == pytest.approx(tuple(expected))


def test_a_place_model_says_how_often_support_is_right() -> None:
    rng = np.random.default_rng(0)
    right = np.abs(rng.normal(8, 2, (2000, 2))) ** 2  # its roots are normal
    wrong = np.abs(rng.normal(5, 2, (2000, 2))) ** 2
    model = fit_place(right, wrong, share_right=0.8, allowed=20)
    assert model is not None
    # Log odds of two normal distributions, each root apart by 3 at a variance of 4.
    root = 6.0
    expected = math.log(0.8 / 0.2) + 2 * (3 * root / 4 - (64 - 25) / 8)
    assert model.log_odds(np.array([[root**2, root**2]]))[0] == pytest.approx(expected, abs=0.3)
    assert (model.log_odds(wrong) > model.least_log_odds).sum() == 20


def test_what_would_speak_against_what_it_supports_is_left_out() -> None:
    rng = np.random.default_rng(0)
    right = np.stack([rng.normal(9, 1, 50), rng.normal(1, 1, 50)], axis=1)
    wrong = np.stack([rng.normal(4, 1, 50), rng.normal(5, 1, 50)], axis=1)
    model = fit_place(right, wrong, share_right=0.5, allowed=0)
    assert model is not None and model.weights[0] > 0 and model.weights[1] == 0
    assert fit_place(right, wrong[:0], share_right=0.5, allowed=0) is None
    assert fit_place(right[:0], wrong, share_right=0.5, allowed=0) is None


FIT = Calibration(
    "inliers", 4, 25.0, 0.95, -45.0,
    PlaceModel([0.5, 0.5, -6.0], (0.01 * np.eye(3)).tolist(), 0.0),
    {"known": 7.5, "unsure": None, "any": 80.0},
)  # fmt: skip


def test_two_places_that_are_alike_are_unsure() -> None:
    rival = np.array([[-90.0, -60.0, -40.0, -89.0]])
    weak = np.array([[-44.0, 0, 0, 0]])
    known, unsure, unknown = FIT.judge(
        np.concatenate([NFA, rival, weak]), np.tile(PLACES, (3, 1, 1))
    )
    assert (known.state, unsure.state, unknown.state) == ("known", "unsure", "unknown")
    odds = 0.5 * (math.sqrt(90) + math.sqrt(40)) - 6
    assert known.probability == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)
    reach = 1.959964 * math.sqrt(0.01 * (90 + 40 + 1))
    assert known.interval == pytest.approx(
        (1 / (1 + math.exp(reach - odds)), 1 / (1 + math.exp(-reach - odds))), abs=1e-6
    )
    assert unsure.probability is not None and unsure.probability < 0.5
    assert (known.circle_m, unsure.circle_m, unknown.circle_m) == (7.5, None, None)
    assert known.middle.tolist() == pytest.approx([20 * 4 / 13, 0])


def test_what_is_not_calibrated_is_not_decided() -> None:
    (answer,) = replace(FIT, map_limit=None).judge(NFA, PLACES)
    assert answer.state is answer.probability is answer.interval is None
    assert answer.circle_m == 80.0  # if it is of the map
    # Without a model of places none is known, but photos from elsewhere are told from the map's.
    for doubts, state in ((NFA, "unsure"), (NFA / 3, "unknown")):
        (answer,) = replace(FIT, place=None).judge(doubts, PLACES)
        assert answer.state == state and answer.probability is None


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    save_calibration(file, FIT)
    assert load_calibration(file) == FIT
    content = json.loads(file.read_text())
    for damage in ({"by": "luck"}, {"map_limit": "low"}, {"place": {"weights": [1]}}):
        file.write_text(json.dumps(content | damage))
        with pytest.raises(ValueError, match=rf"calibration\.json: damaged: {next(iter(damage))}"):
            load_calibration(file)


def drive(
    num_queries: int, *, right: float, off_map: int = 0, foreign: int = 0, seed: int = 0
) -> Sample:
    """A drive along a street: right places have strong evidence, wrong and foreign ones less.

    Args:
        num_queries: One each 5 m; the last ones are off the map.
        right: Share of the others whose first prediction is right.
        off_map: Queries without a positive.
        foreign: Photos from elsewhere.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    along = 5.0 * np.arange(num_queries)
    is_negative = np.arange(num_queries) >= num_queries - off_map
    is_right = (rng.random(num_queries) < right) & ~is_negative
    there = along + rng.normal(0, 4, num_queries)
    first = np.where(is_right, there, along + rng.uniform(100, 900, num_queries))
    wrong = along[:, None] + np.array([2000, 2500, 3000])
    places = np.stack([np.column_stack([first, wrong]), np.zeros((num_queries, 4))], axis=2)
    strength = np.where(is_right, rng.gamma(8, 20, num_queries), rng.gamma(4, 9, num_queries))
    doubts = -np.column_stack([strength, rng.gamma(4, 7, (num_queries, 3))])
    truth = np.stack([along, np.zeros(num_queries)], axis=1)
    return Sample(
        "inliers", doubts, places, truth, is_right, is_negative, -rng.gamma(2, 5, foreign), 25.0, 4
    )


FITTED = {"rate": 0.01, "confidence": 0.95, "block_length": 10}


def states_of(held_states: list) -> NDArray[np.str_]:
    return np.array([state or "" for state in held_states])


def test_a_calibration_says_of_new_queries_what_it_said_of_those_it_held_out() -> None:
    sample, again = drive(2000, right=0.8), drive(2000, right=0.8, seed=1)
    fitted, held = calibrate(sample, **FITTED)
    answers = fitted.judge(again.doubts, again.places)
    states = states_of([answer.state for answer in answers])
    for state in ("known", "unsure", "unknown"):
        expected = (states_of(held.states) == state).mean()
        assert (states == state).mean() == pytest.approx(expected, abs=0.03)
    stated = np.array([answer.probability for answer in answers])
    assert stated.mean() == pytest.approx(again.right.mean(), abs=0.02)
    assert again.right[stated > 0.9].mean() == pytest.approx(stated[stated > 0.9].mean(), abs=0.02)
    # Circles hold in each group as often as they say, by cross-fitting and on new queries.
    errors = np.array(
        [math.dist(answer.middle, at) for answer, at in zip(answers, again.truth, strict=True)]
    )
    for state in ("known", "unsure"):
        chosen = states == state
        radius = fitted.circles_m[state]
        assert radius is not None
        assert (errors[chosen] <= radius).mean() == pytest.approx(0.9, abs=0.04)
    radii = held.circles_m[:, LEVELS.index(LEVEL)]
    stated_here = ~np.isnan(radii)
    assert (stated_here == np.isin(states_of(held.states), ["known", "unsure"])).all()
    assert (held.errors_m[stated_here] <= radii[stated_here]).mean() == pytest.approx(0.9, abs=0.03)


def test_wrong_places_are_known_as_rarely_as_was_asked_for() -> None:
    shares = [calibrate(drive(600, right=0.8, seed=seed), **FITTED)[1].wrong_known.mean()
              for seed in range(8)]  # fmt: skip
    assert np.mean(shares) < 0.01


def test_a_query_is_answered_by_blocks_that_it_is_not_in() -> None:
    sample = drive(60, right=0.7)
    _, held = calibrate(sample, **FITTED)
    turned = sample.right.copy()
    turned[20:30] = ~turned[20:30]  # a block of ten
    _, other = calibrate(replace(sample, right=turned), **FITTED)
    assert (held.probability[20:30] == other.probability[20:30]).all()
    assert (held.probability != other.probability).sum() == 50


def test_photos_from_elsewhere_and_off_the_map_are_the_negatives_of_the_first_question() -> None:
    sample = drive(200, right=0.9, off_map=20, foreign=400)
    fitted, held = calibrate(sample, **FITTED)
    found = summarise_map_question(sample, fitted, rate=0.01, confidence=0.95)
    assert (found["num_negatives"], found["num_foreign"]) == (20, 400)
    assert found["accept_calibrated"] is True and found["map_false_acceptance_of"] == 420
    assert found["map_false_acceptance"] <= 0.01  # 0 of 420 are allowed
    foreign = ["unknown"] * 399 + ["unsure"]
    curves = answer_curves(sample, held)
    found = summarise_answers(sample, fitted, held, curves, foreign, confidence=0.95)
    assert found["foreign_known"] == 0 and found["foreign_unsure"] == 1 / 400
    shares = [found[f"share_{state}"] for state in ("known", "unsure", "unknown")]
    assert sum(shares) == pytest.approx(1)
    known = states_of(held.states) == "known"
    assert found["accept_precision"] == sample.right[known].mean()
    assert found["accept_recall"] == (known & sample.right).sum() / 180
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("count", "right"), [(1, 1.0), (30, 0.0)])
def test_too_few_queries_calibrate_nothing(count: int, right: float) -> None:
    sample = drive(count, right=right)
    fitted, held = calibrate(sample, **FITTED)
    assert fitted.place is None and "known" not in held.states
    assert np.isnan(held.probability).all()
    found = summarise_answers(
        sample, fitted, held, answer_curves(sample, held), [], confidence=0.95
    )
    assert "coverage_at_risk_1" not in found and found["share_known"] == 0
    json.dumps(found, allow_nan=False)
