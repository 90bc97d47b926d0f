"""Re-ranking: keypoints, matches, inliers and the order, against what is known without the code."""

from __future__ import annotations

import math
import pickle
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stages.inliers import inliers
from stages.keypoints import keypoints
from stages.order import rerank
from tests.support.foreign_matcher import write_foreign_matcher
from tests.support.repositories import require
from tests.support.transformers_model import write_model
from vpr.images.image_files import read_image
from vpr.matchers.base.keypoints import Keypoints, load_keypoints, save_keypoints
from vpr.matchers.base.matcher import Folders, LocalPoints, Rules, load_matcher
from vpr.matchers.base.matching import find_inliers, match_mutually
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import with_photos
from vpr.matchers.sift import Sift, make_matcher, root_sift
from vpr.reranking import verification
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.reranking.reranking import Stop, log10_false_alarms, order_by_inliers
from vpr.reranking.verification import Work, hash_points, verify_candidates
from vpr.reranking.verified_pairs import NOT_VERIFIED, VerifiedPairs, load_verified
from vpr.retrieval.predictions import Predictions, load_predictions, save_predictions
from vpr.runtime.external_code import ALLOW
from vpr.runtime.parameters import load_params
from vpr.runtime.store import FOLDER


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    rows = np.abs(np.random.default_rng(seed).normal(size=(count, dim))).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_root_sift_is_the_square_root_of_the_l1_normalised_histogram() -> None:
    counts = np.zeros((2, 128), np.uint8)
    counts[0, [3, 7]] = (9, 16)
    expected = np.zeros((2, 128))
    expected[0, [3, 7]] = (3 / 5, 4 / 5)
    np.testing.assert_allclose(root_sift(counts), expected, atol=1e-7)


def match_by_loops(first: np.ndarray, second: np.ndarray, ratio: float) -> list[list[int]]:
    """Mutual nearest neighbours and Lowe's ratio test, one distance at a time."""
    away = [[math.dist(one, other) for other in second] for one in first]
    pairs = []
    for a, row in enumerate(away):
        b = min(range(len(row)), key=lambda other: row[other])
        nearest_of_b = min(range(len(away)), key=lambda one: away[one][b])
        others = [distance for other, distance in enumerate(row) if other != b]
        if nearest_of_b == a and (not others or row[b] < ratio * min(others)):
            pairs.append([a, b])
    return pairs


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.0])
def test_matches_equal_those_of_plain_loops(ratio: float) -> None:
    first = unit(40, 8, 0)
    near = first[5:25] + 0.1 * unit(20, 8, 1)  # some with a partner, some without
    second = np.concatenate([unit(15, 8, 2), near / np.linalg.norm(near, axis=1, keepdims=True)])
    expected = match_by_loops(first, second, ratio)
    assert match_mutually(first, second, ratio=ratio).tolist() == expected
    assert 3 < len(expected) < 35


def test_a_pattern_that_repeats_matches_nothing_and_a_single_one_has_no_rival() -> None:
    one = unit(1, 8, 0)
    assert match_mutually(one, np.repeat(one, 2, axis=0), ratio=0.9).tolist() == []
    assert match_mutually(one, one, ratio=0.9).tolist() == [[0, 0]]
    assert match_mutually(np.repeat(one, 2, axis=0), one, ratio=0.9).tolist() == [[0, 0]]


@pytest.mark.parametrize(("num_first", "num_second"), [(0, 5), (5, 0), (0, 0)])
def test_without_keypoints_there_are_no_matches(num_first: int, num_second: int) -> None:
    pairs = match_mutually(unit(num_first, 8, 0), unit(num_second, 8, 1), ratio=0.8)
    assert pairs.shape == (0, 2)


HOMOGRAPHY = np.array([[0.9, -0.1, 30], [0.15, 1.1, -12], [2e-4, -1e-4, 1]])


def seen_from_two_places(num_inliers: int, num_outliers: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    first = rng.uniform(0, 400, size=(num_inliers + num_outliers, 2))
    projected = np.c_[first, np.ones(len(first))] @ HOMOGRAPHY.T
    second = projected[:, :2] / projected[:, 2:]
    angles = rng.uniform(0, 2 * np.pi, num_outliers)
    far = rng.uniform(60, 200, num_outliers)[:, None]
    second[num_inliers:] += far * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return first.astype(np.float32), second.astype(np.float32)


def test_the_inliers_are_those_that_a_known_homography_moved() -> None:
    first, second = seen_from_two_places(30, 20)
    assert find_inliers(first, second, Rules(None, "homography", 3)).sum() == 30
    assert find_inliers(first[:30], second[:30], Rules(None, "homography", 3)).sum() == 30


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_matches_are_no_inliers(count: int) -> None:
    first, second = seen_from_two_places(count, 0)
    assert find_inliers(first, second, Rules(None, "homography", 3)).sum() == 0


def test_matches_that_define_no_homography_do_not_crash() -> None:
    same = np.full((20, 2), 7, np.float32)
    line = np.stack([np.arange(20), np.arange(20)], axis=1).astype(np.float32)
    assert find_inliers(same, same, Rules(None, "homography", 3)).sum() == 0
    assert 0 <= find_inliers(line, same, Rules(None, "homography", 3)).sum() <= 20
    assert 0 <= find_inliers(line, line[::-1], Rules(None, "homography", 3)).sum() <= 20


# Matches of two photos of the demo, one of them twice, on which OpenCV 5.0 asserts.
TWICE = (
    [[61.1, 111.8], [61.1, 111.8], [122.9, 171.1], [162.4, 120.2], [245.0, 148.8],
     [190.5, 124.2], [87.6, 59.2], [240.3, 142.7], [62.7, 67.0]],
    [[229.7, 90.8], [229.7, 90.8], [108.7, 131.9], [134.0, 96.7], [211.2, 130.9],
     [162.8, 107.7], [107.7, 72.0], [206.9, 125.1], [97.9, 73.6]],
)  # fmt: skip


def test_matches_that_define_no_fundamental_matrix_are_no_inliers() -> None:
    rules = Rules(None, "fundamental", 2.0)
    first, second = (np.array(points, np.float32) for points in TWICE)
    assert find_inliers(first, second, rules).sum() == 0
    line = np.stack([np.arange(20), np.arange(20)], axis=1).astype(np.float32)
    for points in (line, np.full((20, 2), 7, np.float32)):
        assert 0 <= find_inliers(points, points[::-1], rules).sum() <= 20


RETRIEVAL = Predictions(
    np.array([[4, 2, 0, 1], [0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 2, 4]]),
    np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (4, 1)),
    5,
)


def test_the_score_is_cosine_plus_inliers_that_saturate() -> None:
    # Cosines 0.995, 0.98, 0.955, 0.92; with half_inliers 10 the inliers add 1/2 for 10, 2/3 for 20.
    scores = np.array([[0, 10, 20], [20, 10, 0], [0, 0, 0], [10, 10, 11]])
    ranked = order_by_inliers(RETRIEVAL, scores, half_inliers=10)
    assert ranked.indices.tolist() == [
        [0, 2, 4, 1],  # 1.622, 1.480, 0.995; the fourth was not verified
        [0, 1, 2, 3],  # 1.662, 1.480, 0.955
        [3, 2, 1, 0],  # the retrieval's
        [1, 0, 2, 4],  # 1.495, 1.480, 1.479: one inlier more weighs less than the descriptor
    ]
    np.testing.assert_allclose(ranked.distances[0], [0.3, 0.2, 0.1, 0.4])
    assert ranked.num_database == 5


def test_without_inliers_and_among_equals_the_retrieval_stays() -> None:
    for scores in (np.zeros((4, 4), np.int64), np.full((4, 4), 7)):
        ranked = order_by_inliers(RETRIEVAL, scores, half_inliers=10)
        np.testing.assert_array_equal(ranked.indices, RETRIEVAL.indices)


def seen_by_two_cameras(num_inliers: int, num_outliers: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a scene with depth, 300 px of focal length; the second camera moved and turned."""
    rng = np.random.default_rng(1)
    scene = rng.uniform([-4, -3, 4], [4, 3, 20], size=(num_inliers + num_outliers, 3))
    turn = np.deg2rad(5)
    rotation = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    moved = scene @ np.array(rotation).T + [0.8, 0.1, 0.5]
    first, second = (300 * points[:, :2] / points[:, 2:] + 320 for points in (scene, moved))
    second[num_inliers:] = rng.uniform(0, 640, size=(num_outliers, 2))
    return first.astype(np.float32), second.astype(np.float32)


def test_a_fundamental_matrix_explains_a_scene_with_depth_that_no_homography_does() -> None:
    first, second = seen_by_two_cameras(60, 30)
    count = find_inliers(first, second, Rules(None, "fundamental", 1)).sum()
    assert 60 <= count <= 64  # an outlier may lie on its epipolar line by chance
    assert find_inliers(first, second, Rules(None, "homography", 1)).sum() < 30
    assert find_inliers(first[:7], second[:7], Rules(None, "fundamental", 1)).sum() == 0


def texture(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    return picture.filter(ImageFilter.GaussianBlur(1))


def test_keypoints_are_the_strongest_and_a_blank_image_has_none() -> None:
    pixels = np.asarray(texture(0))
    everything = Sift().detect(pixels, max_keypoints=10_000)
    few = Sift().detect(pixels, max_keypoints=20)
    assert len(everything.points) > 60
    assert few.points.shape == (20, 2)
    assert few.descriptors.dtype == np.uint8
    assert few.size == (150, 200)
    np.testing.assert_array_equal(few.points, everything.points[:20])
    blank = Sift().detect(np.full((48, 64, 3), 90, np.uint8), max_keypoints=20)
    assert blank.points.shape == (0, 2)
    assert blank.descriptors.shape == (0, 128)


def test_keypoints_survive_their_files_and_are_checked(tmp_path: Path) -> None:
    images = [
        LocalPoints(np.ones((2, 2), np.float32), np.full((2, 128), 3, np.uint8), (10, 20)),
        LocalPoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8), (30, 40)),
        LocalPoints(np.full((1, 2), 5, np.float32), np.full((1, 128), 7, np.uint8), (50, 60)),
    ]
    save_keypoints(tmp_path / "k", images)
    stored = load_keypoints(tmp_path / "k")
    for number, image in enumerate(images):
        np.testing.assert_array_equal(stored.of(number).points, image.points)
        np.testing.assert_array_equal(stored.of(number).descriptors, image.descriptors)
        assert stored.of(number).size == image.size
    np.save(tmp_path / "k/points/000000.npy", np.ones((5, 2), np.float32))
    with pytest.raises(ValueError, match=r"images list 3 keypoints, points have 5"):
        load_keypoints(tmp_path / "k")
    np.save(tmp_path / "k/points/000000.npy", np.ones((3, 2)))
    with pytest.raises(ValueError, match="float64"):
        load_keypoints(tmp_path / "k")


WEIGHTS = Path("weights")
PARAMS = """
keypoints:
  max_side_px: 400
  max_keypoints: 300
inliers:
  top: {verified}
  ratio: null
  geometry: homography
  tolerance_px: 3.0
  stop: {stop}
rerank:
  method: {method}
  model: {model}
  top: {top}
  half_inliers: 10.0
"""


@pytest.fixture(scope="module")
def made_street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four database images, the last blank, and three queries: two views of image 2, a blank."""
    folder = tmp_path_factory.mktemp("street")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        draw_street()
        set_params("sift", verified=4, top=4)
        find_keypoints()
    return folder


@pytest.fixture
def street(made_street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it, with SIFT's keypoints, to do with as one likes."""
    shutil.copytree(made_street, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def draw_street() -> None:
    Path("env.yaml").write_text(f"numpy: {np.__version__}\n")
    for side in ("database", "query"):
        Path(side).mkdir()
    for number in range(3):
        texture(number).save(f"database/{number:06d}.png")
    Image.new("L", (64, 48), 128).save("database/000003.png")
    view = texture(2).crop((20, 10, 190, 140))
    view.convert("L").save("query/000000.png")  # greyscale
    view.resize((340, 260), Image.Resampling.BICUBIC).save("query/000001.png")  # another size
    Image.new("RGB", (200, 150)).save("query/000002.png")
    distances = np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (3, 1))
    save_predictions(Path("found.npz"), Predictions(np.array([[0, 3, 2, 1]] * 3), distances, 4))
    WEIGHTS.mkdir()


def set_params(method: str, *, verified: int, top: int, stop: str = "null") -> None:
    model = {"foreign": "code:points", "transformers": "glue"}.get(method, "null")
    text = PARAMS.format(method=method, model=model, verified=verified, top=top, stop=stop)
    Path("params.yaml").write_text(text)


def run_stages(method: str, top: int, out: str, *, stop: str = "null") -> Predictions:
    set_params(method, verified=top, top=top, stop=stop)
    if method != "sift":
        find_keypoints()
    num_keypoints = len(load_keypoints(Path("keypoints/database")))
    np.save("kept.npy", np.ones(num_keypoints, dtype=bool))
    inliers(
        predictions=Path("found.npz"), database_keypoints=Path("keypoints/database"),
        query_keypoints=Path("keypoints/query"), kept=Path("kept.npy"), verified=Path("verified"),
        weights=WEIGHTS,
        foreign=Path("foreign"),
    )  # fmt: skip
    return order_again(out)


def find_keypoints() -> None:
    for side in ("database", "query"):
        keypoints(images=Path(side), weights=WEIGHTS, keypoints=Path("keypoints") / side)


def order_again(out: str) -> Predictions:
    rerank(predictions=Path("found.npz"), verified=Path("verified"), reranked=Path(out))
    return load_predictions(Path(out))


@pytest.mark.parametrize("top", [3, 4, 50])
def test_the_right_place_comes_first_whatever_colour_and_size_the_photo_has(
    street: None, top: int
) -> None:
    ranked = run_stages("sift", top, "r.npz")
    assert ranked.indices[:2, 0].tolist() == [2, 2]
    np.testing.assert_allclose(ranked.distances[:2, 0], 0.3)
    assert ranked.indices[2].tolist() == [0, 3, 2, 1]  # blank: the retrieval stays


def test_no_candidate_beyond_the_top_is_looked_at(street: None) -> None:
    ranked = run_stages("sift", 2, "r.npz")
    assert ranked.indices.tolist() == [[0, 3, 2, 1]] * 3


def test_fewer_of_the_verified_are_ordered_as_if_no_others_were_verified(street: None) -> None:
    run_stages("sift", 4, "all.npz")
    for top in (1, 2, 3):
        set_params("sift", verified=4, top=top)
        order_again(f"first{top}.npz")
    for top in (1, 2, 3):
        run_stages("sift", top, "alone.npz")
        first = Path(f"first{top}.npz").read_bytes()
        assert first == Path("alone.npz").read_bytes()
        assert first != Path("all.npz").read_bytes() or top == 3


def test_more_than_were_verified_are_not_ordered(street: None) -> None:
    run_stages("sift", 2, "r.npz")
    set_params("sift", verified=2, top=3)
    with pytest.raises(ValueError, match=r"rerank\.top = 3: .*first 2 .*set inliers\.top = 3 too"):
        order_again("more.npz")
    assert not Path("more.npz").exists()


def test_inliers_of_other_candidates_are_refused(street: None) -> None:
    run_stages("sift", 4, "r.npz")
    found = load_predictions(Path("found.npz"))
    save_predictions(Path("found.npz"), Predictions(found.indices[:, ::-1], found.distances, 4))
    with pytest.raises(ValueError, match="verified pairs and predictions come from different runs"):
        order_again("other.npz")


def test_a_method_without_verified_pairs_is_no_copy_of_the_retrieval(street: None) -> None:
    run_stages("none", 4, "r.npz")
    set_params("sift", verified=4, top=4)
    with pytest.raises(ValueError, match="verified pairs and predictions come from different runs"):
        order_again("other.npz")


def test_two_runs_give_the_same_bytes_and_no_method_a_copy(street: None) -> None:
    run_stages("sift", 4, "a.npz")
    first = {file: file.read_bytes() for file in Path("keypoints").rglob("*.npy")}
    find_keypoints()
    run_stages("sift", 4, "b.npz")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    assert {file: file.read_bytes() for file in first} == first
    run_stages("none", 4, "c.npz")
    assert Path("c.npz").read_bytes() == Path("found.npz").read_bytes()


def test_the_score_of_a_pair_depends_on_that_pair_alone(street: None) -> None:
    run_stages("sift", 4, "r.npz")
    database, query = (load_keypoints(Path("keypoints") / side) for side in ("database", "query"))
    orders = np.array([[0, 3, 2, 1], [1, 2, 3, 0], [2, 0, 1, 3]])
    far = np.zeros((3, 4), np.float32)

    def verify(ranked: Predictions, points: Keypoints, saved: str) -> VerifiedPairs:
        rules = Rules(0.9, "homography", 3.0)
        return verify_candidates(
            make_matcher(), ranked, database, points, top=4, rules=rules, stop=Stop(None, 10.0),
            known=None, saved=Path(saved),
        )  # fmt: skip

    scores = verify(Predictions(orders, far, 4), query, "all").inliers
    for row in range(3):
        save_keypoints(Path(f"alone{row}"), [query.of(row)])
        alone = load_keypoints(Path(f"alone{row}"))
        again = verify(Predictions(orders[row : row + 1, ::-1], far[:1], 4), alone, f"{row}")
        np.testing.assert_array_equal(again.inliers[0, ::-1], scores[row])
    with pytest.raises(ValueError, match=r"predictions have \(3, 5\), keypoints \(3, 4\)"):
        verify(Predictions(orders, far, 5), query, "other")

    def hashed(database: list[LocalPoints], query: list[LocalPoints], top: int) -> str:
        for side, images in (("database", database), ("query", query)):
            shutil.rmtree(f"hashed {side}", ignore_errors=True)
            save_keypoints(Path(f"hashed {side}"), images)
        points = (load_keypoints(Path(f"hashed {side}")) for side in ("database", "query"))
        return hash_points(Predictions(orders, far, 4), *points, top=top)

    # The key of a run that goes on: image 3 is no candidate among the first one, but among two.
    images, asked = [database.of(row) for row in range(4)], [query.of(row) for row in range(3)]
    for top, changes in ((1, (True, True, True, False)), (2, (True, True, True, True))):
        known = hashed(images, asked, top)
        for row, is_changed in enumerate(changes):
            moved = replace(images[row], size=(9, 9))
            others = [*images[:row], moved, *images[row + 1 :]]
            assert (hashed(others, asked, top) != known) == is_changed
        assert hashed(images, [asked[1], asked[0], asked[2]], top) != known


def test_the_rule_stops_when_no_other_candidate_can_come_among_the_first() -> None:
    rng = np.random.default_rng(0)
    num_left = 0
    for first in (1, 2, 3):
        rule = Stop(first, 20.0)
        for _ in range(100):
            far = np.sort(rng.uniform(0.8, 1.4, 6)).astype(np.float32)
            most = rng.integers(0, 300, 6)
            inliers = (most * rng.choice([0.1, 0.9, 1.0], 6)).astype(np.int64)
            done = next(n for n in range(1, 7) if rule.settles(far, inliers[:n], most))
            verified = np.where(np.arange(6) < done, inliers, 0)
            retrieved = Predictions(np.arange(6)[None], far[None], 6)
            stopped, full = (
                order_by_inliers(retrieved, counts[None], half_inliers=20.0).indices[0].tolist()
                for counts in (verified, inliers)
            )
            assert stopped[:first] == full[:first]
            assert set(stopped[:done]) == set(range(done))  # the others after, as retrieved
            assert stopped[done:] == list(range(done, 6))
            num_left += 6 - done
    assert num_left > 300


def test_the_rule_by_hand() -> None:
    # Cosines 0.5 and 0.42; 60 inliers add 0.75, so 0.83 would be needed: more than 97 inliers.
    far = np.sqrt(2 - 2 * np.array([0.5, 0.42])).astype(np.float32)
    rule = Stop(1, 20.0)
    assert rule.settles(far, np.array([60]), np.array([90, 97]))
    assert not rule.settles(far, np.array([60]), np.array([90, 98]))
    assert not rule.settles(far, np.array([59]), np.array([90, 97]))
    assert not Stop(2, 20.0).settles(far, np.array([60]), np.array([90, 0]))
    assert Stop(2, 20.0).settles(far, np.array([60, 97]), np.array([90, 97]))


def test_candidates_that_cannot_come_first_are_not_verified(street: None) -> None:
    found = load_predictions(Path("found.npz"))
    found.distances[:] = (0.1, 0.2, 0.3, 1.3)  # the last: a cosine of 0.155
    save_predictions(Path("found.npz"), found)
    full, stopped = run_stages("sift", 4, "all.npz"), run_stages("sift", 4, "r.npz", stop="1")
    pairs = load_verified(Path("verified"))
    assert pairs.matches[:2, 3].tolist() == [NOT_VERIFIED] * 2
    assert pairs.matches[2].tolist() == [0] + [NOT_VERIFIED] * 3  # a blank query matches nothing
    assert pairs.num_verified == 3 + 3 + 1
    assert pairs.evidence_of(0, 1) is None and pairs.of(0, 1).shape == (0, 2, 2)
    assert stopped.indices.tolist() == full.indices.tolist()


@pytest.mark.parametrize(
    ("method", "stop"),
    [
        ("sift", "null"), ("sift", "1"), ("xfeat", "1"), ("foreign", "null"), ("foreign", "1"),
        ("transformers", "1"),
    ],
)  # fmt: skip
def test_a_photo_is_re_ranked_as_the_stages_re_rank_a_query(
    street: None, method: str, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW, "1")
    write_foreign_matcher(Path("foreign"))
    if method == "transformers":
        require(find_spec("transformers"), "pip install -r requirements-transformers.txt")
        write_model(WEIGHTS / "glue", "superglue")
    found = load_predictions(Path("found.npz"))
    found.distances[:] = (0.1, 0.2, 1.1, 1.3)
    save_predictions(Path("found.npz"), found)
    ranked = run_stages(method, 3, "r.npz", stop=stop)
    pairs, found = load_verified(Path("verified")), load_predictions(Path("found.npz"))
    params = load_params("rerank", RerankParams)
    matcher = load_matcher(method, params.model, Folders(WEIGHTS, Path("foreign")))
    assert matcher is not None
    database = load_keypoints(Path("keypoints/database"))
    if method == "foreign":
        database = with_photos(database, Path("keypoints/database"))
    reranker = Reranker(
        matcher, database,
        load_params("keypoints", KeypointsParams), load_params("inliers", InliersParams),
        params,
    )  # fmt: skip
    for row in range(3):
        pixels = read_image(Path(f"query/{row:06d}.png"), scale_to=reranker.keypoints.max_side_px)
        retrieved = Predictions(found.indices[row : row + 1], found.distances[row : row + 1], 4)
        order, verified = reranker.rerank(pixels, retrieved, num_ranked=4)
        assert order.indices[0].tolist() == ranked.indices[row].tolist()
        for name in ("inliers", "matches", "log10_nfa"):
            assert getattr(verified, name)[0].tolist() == getattr(pairs, name)[row].tolist()
        for image in found.indices[row, :3].tolist():
            np.testing.assert_array_equal(verified.of(0, image), pairs.of(row, image))
        # A run that ranks two images has verified two; the rest keep the retrieval's order.
        order, verified = reranker.rerank(pixels, retrieved, num_ranked=2)
        assert verified.candidates.tolist() == [[0, 3]]
        assert order.indices[0, 2:].tolist() == [2, 1]


def test_verified_pairs_say_where_the_inliers_are(street: None) -> None:
    ranked = run_stages("sift", 4, "r.npz")
    pairs = load_verified(Path("verified"))
    first = pairs.of_predictions(ranked)
    assert first is not None
    assert (first.inliers[2] == 0).all() and (first.log10_nfa[2] == 0).all()  # the blank query
    assert (first.inliers[:2, 0] > 20).all() and (first.log10_nfa[:2, 0] < -20).all()
    # The query is the part of image 2 from x = 20 to 190 and from y = 10 to 140 of 200 x 150.
    places = pairs.of(0, 2)
    assert len(places) == pairs.evidence_for(np.array([[2]] * 3)).inliers[0, 0]
    expected = (places[:, 0] * [170, 130] + [20, 10]) / [200, 150]
    assert np.abs(places[:, 1] - expected).max() < 0.02
    assert pairs.of(0, 99).shape == (0, 2, 2)
    assert pairs.evidence_of(0, 2) == (len(places), pairs.log10_nfa[0].min())
    assert pairs.evidence_of(2, 0) == (0, 0)
    assert pairs.evidence_of(0, 99) is None  # was not looked at, which is not "no inliers"
    # What was stored of a pair is the model's: sizes 150 x 200 and 130 x 170, 3 px, a homography.
    rank = pairs.candidates[0].tolist().index(2)
    found = {
        "num_matches": int(pairs.matches[0, rank]), "num_inliers": int(pairs.inliers[0, rank]),
    }  # fmt: skip
    chance = np.pi * load_params("inliers", InliersParams).tolerance_px ** 2 / (130 * 170)
    expected = log10_false_alarms("homography", chance=chance, **found)
    assert pairs.log10_nfa[0, rank] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match=r"pairs of 3 queries, images for 1"):
        pairs.evidence_for(np.array([[2]]))
    run_stages("none", 4, "r.npz")
    assert load_verified(Path("verified")).of(0, 2).shape == (0, 2, 2)


def test_pairs_are_found_again_by_their_content_with_the_same_bytes(
    street: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def verified_bytes() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in Path("verified").iterdir()}

    run_stages("sift", 3, "r.npz")
    without = verified_bytes()
    assert "store" not in capsys.readouterr().err  # the folder is not a DVC repository
    monkeypatch.delenv("VPR_STORE_GB", raising=False)
    Path(".dvc").mkdir()
    find_keypoints()
    of_photos = set(FOLDER.glob("*/*"))
    for num_found in (0, 9):
        run_stages("sift", 3, "r.npz")
        assert f"9 pairs of 3 queries, {num_found} of them found in" in capsys.readouterr().err
        assert verified_bytes() == without
    entries = sorted(set(FOLDER.glob("*/*")) - of_photos)
    assert len(entries) == 9
    entries[0].write_bytes(entries[1].read_bytes()[:-1])
    found = load_predictions(Path("found.npz"))
    save_predictions(Path("found.npz"), Predictions(found.indices[:, ::-1], found.distances, 4))
    run_stages("sift", 4, "r.npz")  # another ranking: one pair of each query is new, one damaged
    assert "12 pairs of 3 queries, 8 of them found in" in capsys.readouterr().err
    monkeypatch.setenv("VPR_STORE_GB", "0")
    again = verified_bytes()
    run_stages("sift", 4, "r.npz")
    assert "store" not in capsys.readouterr().err and verified_bytes() == again
    # Of other settings, and of other keypoints, nothing is found.
    monkeypatch.delenv("VPR_STORE_GB")
    text = Path("params.yaml").read_text()
    for old, new in (("tolerance_px: 3.0", "tolerance_px: 2.5"), ("ratio: null", "ratio: 0.9")):
        monkeypatch.setattr(sys.modules[__name__], "PARAMS", PARAMS.replace(old, new))
        run_stages("sift", 3, "r.npz")
        assert "9 pairs of 3 queries, 0 of them found in" in capsys.readouterr().err
    assert text.count("ratio: null") == 1


@pytest.mark.parametrize(("method", "stop"), [("sift", "null"), ("sift", "1"), ("foreign", "1")])
def test_only_what_the_store_lacks_is_sent_to_other_machines(
    street: None, method: str, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Work] = []
    num_calls = 0

    def send(
        make: Callable[..., Callable[[Iterable[Work]], Iterator[VerifiedPairs]]],
        shared: tuple[object, ...], items: Iterable[Work], *, pack: Callable[[Work], Work],
        **machines: object,
    ) -> Iterator[VerifiedPairs]:  # fmt: skip
        nonlocal num_calls
        num_calls += 1
        for item in items:
            sent.append(pickle.loads(pickle.dumps(pack(item))))  # noqa: S301 - our own
            yield from make(*shared)([sent[-1]])

    def verified_over_machines(top: int) -> tuple[int, dict[str, bytes], list[list[bool]]]:
        nonlocal num_calls
        num_calls, _ = 0, sent.clear()
        with monkeypatch.context() as patch:
            patch.setattr(verification, "ordered_map", send)
            run_stages(method, top, "r.npz", stop=stop)
        files = {file.name: file.read_bytes() for file in Path("verified").iterdir()}
        return num_calls, files, [[pair is None for pair in work.known] for work in sent]

    monkeypatch.setenv(ALLOW, "1")
    write_foreign_matcher(Path("foreign"))
    found = load_predictions(Path("found.npz"))
    found.indices[:] = 0, 2, 3, 1  # of which the second settles the first two queries
    found.distances[:] = 0.6, 0.7, 1.3, 1.3
    save_predictions(Path("found.npz"), found)
    monkeypatch.setenv("VPR_STORE_GB", "0")
    without = {top: verified_over_machines(top) for top in (1, 4)}
    assert [work[2] for work in without.values()] == [[[True]] * 3, [[True] * 4] * 3]
    monkeypatch.setenv("VPR_STORE_GB", "1")
    Path(".dvc").mkdir()
    is_settled = (method, stop) == ("sift", "1")  # the third query, which is blank, by one pair
    for top, num_known, num_sent in ((1, 0, 3), (4, 1, 3 - is_settled)):
        expected = [[False] * num_known + [True] * (top - num_known)] * num_sent
        assert verified_over_machines(top) == (1, without[top][1], expected)
    for work in sent:
        assert [image.descriptors.size for image in work.task.points[:1]] == [0]
        assert (work.task.points[1].descriptors.size > 0) == (method == "sift")
    assert verified_over_machines(4) == (0, without[4][1], [])


def test_a_killed_run_resumes_after_the_queries_that_were_verified(
    street: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "QUERIES_A_PART", 1)
    straight = run_stages("sift", 4, "r.npz")
    files = {file.name: file.read_bytes() for file in Path("verified").iterdir()}
    shutil.rmtree("verified")
    second = load_keypoints(Path("keypoints/query")).of(1).points
    asked: list[bool] = []  # of which pairs are of the second query
    verify, is_killed = Sift.verify, True

    def counted(self: Sift, query: LocalPoints, *others: object) -> NDArray[np.int64]:
        asked.append(np.array_equal(query.points, second))
        if is_killed and asked[-1]:
            raise KeyboardInterrupt
        return verify(self, query, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Sift, "verify", counted)
    with pytest.raises(KeyboardInterrupt):
        run_stages("sift", 4, "again.npz")
    assert not Path("again.npz").exists() and not Path("verified").exists()
    is_killed = False
    asked.clear()
    again = run_stages("sift", 4, "again.npz")
    assert len(asked) == 2 * 4  # the second and the third query, four candidates each
    assert sum(asked) == 4
    np.testing.assert_array_equal(again.indices, straight.indices)
    assert {file.name: file.read_bytes() for file in Path("verified").iterdir()} == files


def test_torch_computes_on_one_thread_while_pairs_are_verified(
    street: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, before = set(), torch.get_num_threads()
    verify = Sift.verify

    def noted(self: Sift, *points: object) -> NDArray[np.int64]:
        seen.add(torch.get_num_threads())
        return verify(self, *points)  # type: ignore[arg-type]

    monkeypatch.setattr(Sift, "verify", noted)
    run_stages("sift", 4, "r.npz")
    assert seen == {1} and torch.get_num_threads() == before


def test_files_of_verified_pairs_that_disagree_are_refused(street: None) -> None:
    run_stages("sift", 4, "r.npz")
    wrong: list[tuple[str, NDArray[Any], str]] = [
        ("inliers", np.zeros((3, 4), np.int32), "inliers.npy: expected 2 axes of int64"),
        ("inliers", np.full((3, 4), -1), "expected a count of inliers for each candidate"),
        ("candidates", np.zeros((3, 3), np.int64), r"found candidates \(3, 3\), matches \(3, 4\)"),
        ("matches", np.zeros((3, 4), np.int64), "at least as many matches as inliers"),
        ("log10_nfa", np.full((3, 4), np.nan), "log10_nfa of 0 or less"),
        ("places", np.zeros((1, 2, 2), np.uint16), r"as many places, found .*places \(1, 2, 2\)"),
    ]
    for name, array, words in wrong:
        file = Path(f"verified/{name}.npy")
        content = file.read_bytes()
        np.save(file, array)
        with pytest.raises(ValueError, match=words):
            load_verified(Path("verified"))
        file.write_bytes(content)
    load_verified(Path("verified"))


def test_a_view_is_found_among_the_keypoints_of_the_whole() -> None:
    whole = texture(7)
    pixels = np.asarray(whole)
    inner = np.asarray(whole.crop((40, 30, 180, 140)))
    a, b = (Sift().detect(p, max_keypoints=300) for p in (pixels, inner))
    pairs = match_mutually(root_sift(a.descriptors), root_sift(b.descriptors), ratio=0.8)
    offsets = a.points[pairs[:, 0]] - b.points[pairs[:, 1]]
    assert np.mean(np.abs(offsets - [40, 30]).max(axis=1) < 1) > 0.9


def test_a_matcher_is_named_by_its_file() -> None:
    assert load_matcher("none") is None
    assert isinstance(load_matcher("sift"), Sift)
    with pytest.raises(ValueError, match=r"rerank\.method = orb: .*aliked, .*sift, .*xfeat"):
        load_matcher("orb")


def test_keypoints_of_another_width_and_type_are_stored_as_they_are(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_keypoints(tmp_path / "k", [LocalPoints(points, rows, (8, 9))])
    stored = load_keypoints(tmp_path / "k")
    assert np.array_equal(stored.of(0).descriptors, rows)
    assert stored.bytes_each == 64 * 4 + 2 * 4
