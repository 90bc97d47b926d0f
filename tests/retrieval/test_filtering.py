"""A drive followed equals the sums of a hidden Markov model, and survives what drives do."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support.route_files import order_along_route
from tests.support.unit_rows import as_unit, unit_rows
from vpr.places.index import ImageIndex, save_index
from vpr.reranking.verified_pairs import NOTHING, save_verified
from vpr.retrieval import filtering, following
from vpr.retrieval.descriptors import save_descriptors
from vpr.retrieval.evidence import learn_contrast
from vpr.retrieval.filtering import (
    BEND,
    ENTER,
    LEAVE,
    STARTS_OFF,
    Belief,
    PlaceFilter,
)
from vpr.retrieval.following import Follower
from vpr.retrieval.predictions import Predictions, save_predictions
from vpr.retrieval.ranking import rank_database

PLACES = np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0], [10.0, 5.0], [200.0, 0.0]])
RATIOS = np.random.default_rng(0).normal(scale=1.5, size=(4, 5))  # log, of four photos
MOVED_M = [math.nan, math.nan, 6.0, 1.0]  # the last is less than half a spacing: no move


@cache
def chain(moved_m: float) -> np.ndarray:
    """Probabilities from each state to each, the last one off the map, by plain loops."""
    table = np.zeros((6, 6))
    for i, j in itertools.product(range(5), repeat=2):
        metres = math.dist(PLACES[i], PLACES[j])
        if math.isnan(moved_m):
            table[i, j] = (1 + metres / 20) ** -3 if metres <= 50 else 0
        else:
            error = math.hypot(5, 0.1 * moved_m)
            weight = math.exp(-0.5 * ((metres - moved_m) / error) ** 2)
            weight = max(weight, BEND) if metres < moved_m else weight
            table[i, j] = weight if metres <= moved_m + 5 * error else 0
    table[:5] *= (1 - LEAVE) / table[:5].sum(axis=1, keepdims=True)
    table[:5, 5] = LEAVE
    table[5] = [*[ENTER / 5] * 5, 1 - ENTER]
    return np.eye(6) if moved_m < 2.5 else table


def likelihoods(number: int) -> np.ndarray:
    weight = 0.2 if number == 3 else 1.0  # one metre of five
    return np.array([*np.exp(weight * RATIOS[number]), 1.0])


def joint(path: tuple[int, ...]) -> float:
    start = [*[(1 - STARTS_OFF) / 5] * 5, STARTS_OFF]
    chance = start[path[0]] * likelihoods(0)[path[0]]
    for number in range(1, len(path)):
        move = chain(MOVED_M[number])[path[number - 1], path[number]]
        chance *= move * likelihoods(number)[path[number]]
    return float(chance)


def marginal(number: int, num_seen: int) -> np.ndarray:
    """Sum over every path of the first photos: the definition."""
    sums = np.zeros(6)
    for path in itertools.product(range(6), repeat=num_seen):
        sums[path[number]] += joint(path)
    return sums / sums.sum()


def dense(belief: Belief) -> np.ndarray:
    found = np.zeros(6)
    found[belief.places] = belief.probability
    found[5] = belief.off_map
    return found


@pytest.fixture
def beliefs(monkeypatch: pytest.MonkeyPatch) -> tuple[PlaceFilter, list[Belief]]:
    monkeypatch.setattr(filtering, "LEAST", 0)  # all of them, however improbable
    follower = PlaceFilter(PLACES + np.array([4e5, 5.8e6]), step_m=10, spacing_m=5)
    found: list[Belief] = []
    for ratios, moved_m in zip(RATIOS, MOVED_M, strict=True):
        before = found[-1] if found else None
        found.append(follower.step(before, lambda at, r=ratios: r[at], np.arange(5), moved_m))
    return follower, found


def test_the_filter_is_the_sum_over_all_paths_so_far(
    beliefs: tuple[PlaceFilter, list[Belief]],
) -> None:
    for number, belief in enumerate(beliefs[1]):
        np.testing.assert_allclose(dense(belief), marginal(number, number + 1), atol=1e-12)


def test_the_smoother_is_the_sum_over_all_paths(beliefs: tuple[PlaceFilter, list[Belief]]) -> None:
    follower, found = beliefs
    for number, belief in enumerate(follower.smooth(found)):
        np.testing.assert_allclose(dense(belief), marginal(number, 4), atol=1e-12)
    assert follower.smooth([]) == []


def test_an_estimate_by_hand() -> None:
    follower = PlaceFilter(PLACES + 1000, step_m=10, spacing_m=5)
    share = np.array([0.5, 0.3, 0.0, 0.0, 0.1])
    belief = Belief(np.arange(5), share, 0.1, share, 0.1, None)
    found = follower.estimate(belief, radius_m=6)
    assert found.place == 0
    assert found.probability == pytest.approx(0.8)
    assert found.position == pytest.approx([1000 + 5 * 0.3 / 0.8, 1000])  # of those near the best
    assert found.circle_m == pytest.approx(200 - 1.875 + 2.5)  # 89 % on the map is not 90 %
    assert found.off_map == 0.1


def test_a_belief_names_a_place_however_sure_it_is_to_be_off_the_map() -> None:
    follower = PlaceFilter(PLACES, step_m=10, spacing_m=5)
    belief = follower.step(None, lambda at: np.full(len(at), -40.0) + at, np.arange(5))
    assert belief.places.tolist() == [4]
    found = follower.estimate(belief, radius_m=6)
    assert (found.place, found.state) == (4, "unknown")


def test_a_beam_keeps_the_most_probable_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "MOST_STATES", 2)
    follower = PlaceFilter(PLACES, step_m=10, spacing_m=5)
    ratios = np.array([0.0, 3.0, 2.0, 1.0, 0.0])
    first = follower.step(None, lambda at: ratios[at], np.arange(5))
    assert first.places.tolist() == [1, 2]
    second = follower.step(first, lambda at: ratios[at], np.array([4]))
    assert second.places.tolist() == [1, 2]
    for belief in follower.smooth([first, second]):
        assert belief.probability.sum() + belief.off_map == pytest.approx(1)


def test_the_smoother_goes_on_where_a_stop_left_fewer_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filtering, "LEAST", 0.05)
    follower = PlaceFilter(PLACES, step_m=10, spacing_m=5)
    ratios = np.array([1.0, 1.0, 0.0, -9.0, 0.0])
    first = follower.step(None, lambda at: np.zeros(len(at)), np.arange(5))
    second = follower.step(first, lambda at: ratios[at], np.arange(5), 2.0)  # no move
    assert len(second.places) < len(first.places)
    smoothed, _ = follower.smooth([first, second])
    same = np.isin(first.places, second.places)
    assert smoothed.probability[same] == pytest.approx(second.probability)
    assert (smoothed.probability[~same] == 0).all()


# A street of 100 photos, 5 m apart, where neighbours look a little alike.
SMOOTH = np.stack([unit_rows(104, 64, 0)[n : n + 4].sum(axis=0) for n in range(100)])
STREET = as_unit(SMOOTH)
POSITIONS = np.column_stack([5.0 * np.arange(100), np.zeros(100)])

DRIVES = {
    "stops": [*range(10, 40), *[40] * 25, *range(41, 60)],
    "turns back": [*range(20, 60), *range(59, 10, -1)],
    "a loop": [*range(30, 60), *range(30, 60), *range(30, 60)],
    "leaves the map": [*range(10, 40), *[-1] * 20, *range(70, 95)],
}


def see(drive: list[int]) -> np.ndarray:
    """Noisy photos of places; -1 is nowhere."""
    rows = np.stack([STREET[at] if at >= 0 else np.zeros(64) for at in drive])
    return as_unit(rows + 2.0 * unit_rows(len(drive), 64, 7))


def rank(photos: np.ndarray) -> np.ndarray:
    return rank_database(STREET, photos, top_k=10)[0]


@pytest.fixture(scope="module")
def follower() -> Follower:
    return Follower(STREET, POSITIONS, [np.arange(100)], radius_m=12, step_m=None)


def follow(follower: Follower, photos: np.ndarray) -> list[list[Belief]]:
    """Beliefs of the filter and of the smoother, without odometry or geometry."""
    unknown = np.full(len(photos), np.nan)
    found = follower.follow(photos, rank(photos), unknown, None)
    return [found, follower.filter.smooth(found)]


@pytest.mark.parametrize("most", [100, 10])
@pytest.mark.parametrize("name", DRIVES)
def test_drives_are_followed_through_what_drives_do(
    name: str, most: int, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_WHOLE", most)  # all places, or the ten most similar ones
    drive = np.array(DRIVES[name])
    photos = see(DRIVES[name])
    assert follower.contrast.is_learnt
    on_map = drive >= 0
    alone = np.abs(5.0 * np.argmax(photos @ STREET.T, axis=1) - 5 * drive)[on_map]
    for beliefs in follow(follower, photos):
        estimates = [follower.estimate(belief) for belief in beliefs]
        metres = np.abs(np.array([of.position[0] for of in estimates]) - 5 * drive)[on_map]
        assert np.mean(metres <= 12) > max(0.95, np.mean(alone <= 12))
        off_map = np.array([of.off_map for of in estimates])
        assert np.median(off_map[on_map]) < 0.1
        if name.startswith("leaves"):
            assert np.median(off_map[~on_map]) > 0.5


def test_photos_of_a_stop_with_odometry_say_it_once(follower: Follower) -> None:
    wrong = np.tile(STREET[80], (30, 1))  # thirty times the same misleading photo
    photos = np.concatenate([see([*range(10, 30)]), wrong])
    moved_m = np.array([math.nan, *[5.0] * 20, *[0.0] * 29])
    found = follower.follow(photos, rank(photos), moved_m, None)
    last = [follower.estimate(found[number]) for number in (20, -1)]
    assert last[0].place == last[1].place
    assert last[0].off_map == pytest.approx(last[1].off_map)


def test_small_moves_add_up() -> None:
    """Of a film: a photo each metre through a database each five metres."""
    follower = Follower(STREET, POSITIONS, [np.arange(100)], radius_m=12, step_m=None)
    metres = np.arange(50, 120)
    photos, moved_m = see([*(metres // 5)]), np.array([math.nan, *[1.0] * 69])
    filtered = follower.follow(photos, rank(photos), moved_m, None)
    for found in (filtered, follower.filter.smooth(filtered)):
        east = np.array([follower.estimate(belief).position[0] for belief in found])
        assert np.mean(np.abs(east - metres) <= 12) > 0.9


@pytest.mark.parametrize("ratio", [-1.0, 1.0])
def test_a_long_stop_leaves_numbers(ratio: float) -> None:
    """A car that waits for an hour, seen by a camera of 30 photos a second."""
    follower = PlaceFilter(PLACES, step_m=10, spacing_m=5)
    found = [follower.step(None, lambda at: RATIOS[0][at], np.arange(5))]
    for _ in range(3000):
        before = replace(found[-1], waiting_m=0.0)
        found.append(follower.step(before, lambda at: np.full(len(at), ratio), np.arange(5), 2.0))
    for belief in (found[-1], *follower.smooth(found)):
        of = follower.estimate(belief, radius_m=6)
        assert np.isfinite([of.probability, of.off_map, of.circle_m, *of.position]).all()
        assert of.state == ("unknown" if ratio < 0 else "unsure")


def test_where_no_place_was_seen_twice_nothing_is_learnt() -> None:
    far = 1000.0 * np.arange(100)[:, None] * [1, 0]
    assert not learn_contrast(STREET, far, radius_m=10).is_learnt
    one = Follower(STREET[:1], POSITIONS[:1], [np.arange(1)], radius_m=12, step_m=None)
    unknown = np.full(2, np.nan)
    found = one.filter.smooth(one.follow(STREET[:2], np.zeros((2, 1), int), unknown, None))
    assert all(0 < one.estimate(belief).probability < 1 for belief in found)


def test_verified_geometry_speaks_for_a_place_and_its_lack_against_all() -> None:
    contrast = learn_contrast(STREET, POSITIONS, radius_m=12)
    places = np.arange(100)
    plain = contrast.of(STREET[3], STREET)(places)
    seen = contrast.of(STREET[3], STREET, (np.array([50, 60]), np.array([-200.0, 0.0])))(places)
    assert seen[50] > plain[50]
    assert (np.delete(seen, 50) < np.delete(plain, 50)).all()


@pytest.mark.parametrize(
    ("method", "positions"),
    [("filter", POSITIONS), ("smoother", POSITIONS), ("filter", np.full((100, 2), np.nan))],
    ids=["filter", "smoother", "without positions"],
)
def test_the_stage_follows_each_recording_by_itself(
    method: str, positions: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drive = [*range(10, 40), *range(90, 60, -1)]
    photos = see(drive)
    for name, rows in (("database", STREET), ("query", photos)):
        save_descriptors(Path(f"{name}.npy"), iter([rows]), num_images=len(rows))
    save_index(Path("database.csv"), ImageIndex([f"{n}.jpg" for n in range(100)], positions))
    names = [f"{n}.jpg" for n in range(60)]
    recordings = ["there"] * 30 + ["back"] * 30
    odometry = (1.0 if np.isnan(positions).all() else 5.0) * np.arange(60)
    nowhere = np.zeros((60, 2))  # coordinates of queries are the truth, and tell nothing
    save_index(Path("query.csv"), ImageIndex(names, nowhere, recordings, None, odometry))
    Path("radius.json").write_text('{"radius_m": 12.0}')
    save_predictions(Path("alone.npz"), Predictions(*rank_database(STREET, photos, top_k=5), 100))
    save_verified(Path("verified"), NOTHING)
    ranked = order_along_route(f"method: {method}, length: 1, velocities: [1.0]").indices
    assert ranked.shape == (60, 5)
    assert np.mean(np.abs(ranked[:, 0] - drive) <= 2) > 0.9
    table = np.loadtxt("estimates.csv", delimiter=",", skiprows=1)
    assert table.shape == (60, 7)
    assert table[:, 1].tolist() == ranked[:, 0].tolist()
    assert (table[[0, 30], 6] > table[[5, 35], 6]).all()  # each recording begins anew


def test_photos_far_apart_are_followed_without_being_told(follower: Follower) -> None:
    drive = np.array([*range(2, 98, 6), *range(97, 1, -6)] * 2)  # 30 m apart, six spacings
    for beliefs in follow(follower, see(drive.tolist())):
        estimates = [follower.estimate(belief) for belief in beliefs]
        places = np.array([of.place for of in estimates])
        assert np.mean(np.abs(places - drive) <= 2) > 0.7
        assert "unknown" not in [of.state for of in estimates]
