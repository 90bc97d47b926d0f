"""The number of false alarms: by hand, by loops and by random points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln

from vpr.matchers.base.matcher import Geometry, Rules
from vpr.matchers.base.matching import find_inliers
from vpr.reranking.reranking import chance_of_inlier, log10_false_alarms

SIZE = (240, 320)


def test_the_chance_of_an_inlier_by_hand() -> None:
    # The diagonal of 320 x 240 is 400: a band of 2 px on each side covers 1600 of 76,800 pixels.
    assert chance_of_inlier("fundamental", SIZE, tolerance_px=2) == pytest.approx(1 / 48)
    assert chance_of_inlier("homography", SIZE, tolerance_px=2) == pytest.approx(math.pi / 19_200)
    assert chance_of_inlier("fundamental", (4, 3), tolerance_px=2) == 1


def test_false_alarms_by_hand() -> None:
    # 9 of 10 matches: 3 (10 - 7) C(10, 9) C(9, 7) / 1000^2 = 9 * 10 * 36 / 1e6 = 0.00324.
    found = log10_false_alarms("fundamental", num_matches=10, num_inliers=9, chance=1e-3)
    assert found == pytest.approx(math.log10(0.00324))
    # 6 of 6: (6 - 4) C(6, 6) C(6, 4) / 1000^2 = 2 * 15 / 1e6 = 0.00003.
    found = log10_false_alarms("homography", num_matches=6, num_inliers=6, chance=1e-3)
    assert found == pytest.approx(math.log10(0.00003))


@pytest.mark.parametrize(("num_matches", "num_inliers"), [(0, 0), (7, 7), (500, 7), (300, 20)])
def test_what_chance_gives_is_0(num_matches: int, num_inliers: int) -> None:
    counts = {"num_matches": num_matches, "num_inliers": num_inliers}
    assert log10_false_alarms("fundamental", chance=0.02, **counts) == 0


@pytest.mark.parametrize(("geometry", "sample", "outcomes"),
                         [("fundamental", 7, 3), ("homography", 4, 1)])  # fmt: skip
def test_false_alarms_are_those_of_a_loop_over_gamma_functions(
    geometry: Geometry, sample: int, outcomes: int
) -> None:
    for total in range(20, 1025, 67):
        for inliers in range(sample + 1, total + 1, 13):
            logs = math.log(outcomes) + math.log(total - sample)
            for upper, lower in ((total, inliers), (inliers, sample)):
                logs += gammaln(upper + 1) - gammaln(lower + 1) - gammaln(upper - lower + 1)
            expected = min(0, (logs + (inliers - sample) * math.log(0.01)) / math.log(10))
            found = log10_false_alarms(
                geometry, num_matches=total, num_inliers=inliers, chance=0.01
            )
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("geometry", ["fundamental", "homography"])
def test_random_points_are_at_most_as_often_false_alarms_as_stated(geometry: Geometry) -> None:
    rng, num_alarms, trials = np.random.default_rng(0), 0, 60
    rules = Rules(None, geometry, 2.0)
    chance = chance_of_inlier(geometry, SIZE, tolerance_px=rules.tolerance_px)
    for number in range(trials):
        count = (20, 60, 200)[number % 3]
        first, second = (rng.random((2, count, 2)) * SIZE[::-1]).astype(np.float32)
        inliers = int(find_inliers(first, second, rules).sum())
        found = log10_false_alarms(geometry, num_matches=count, num_inliers=inliers, chance=chance)
        num_alarms += found <= -1
    # At most one in ten is expected; 12 of 60 or more would be seen with a probability of 1 %.
    assert num_alarms < 12


def test_a_planted_motion_is_told_from_chance() -> None:
    rng = np.random.default_rng(1)
    first = (rng.random((200, 2)) * SIZE[::-1]).astype(np.float32)
    second = (rng.random((200, 2)) * SIZE[::-1]).astype(np.float32)
    second[:60, 1] = first[:60, 1]  # a camera that moved sideways: rows stay rows
    inliers = int(find_inliers(first, second, Rules(None, "fundamental", 2.0)).sum())
    chance = chance_of_inlier("fundamental", SIZE, tolerance_px=2.0)
    assert inliers >= 60
    assert log10_false_alarms(
        "fundamental", num_matches=200, num_inliers=inliers, chance=chance
    ) < -20  # fmt: skip
