"""Utility of clusters in both modes, against the formulas in plain loops and by hand."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.utility import utility
from vpr.features.local_features import load_features, save_features
from vpr.features.model import Model, load_model, save_model
from vpr.matchers.base.keypoints import load_keypoints, save_keypoints
from vpr.matchers.base.matcher import LocalPoints
from vpr.network.head import load_head
from vpr.places.index import ImageIndex, save_index
from vpr.places.positives import load_radius, save_radius
from vpr.reranking.utility import (
    assign_positions,
    choose_clusters,
    choose_keypoints,
    clusters_of,
    find_low_clusters,
    find_negatives,
    measure_utility,
    split_in_two,
)
from vpr.reranking.utility_files import load_kept, save_utility


def by_loops(
    blocks: np.ndarray, present: np.ndarray, places: np.ndarray, radius_m: float
) -> tuple[list[float], list[list[float]]]:
    """ES and PS as the paper has them, one distance at a time; blocks are (n, K, C)."""
    count, num_clusters = present.shape
    environment = [0.0] * num_clusters
    place = [[0.0] * num_clusters for _ in range(count)]
    for j in range(count):
        negatives = [k for k in range(count) if math.dist(places[k], places[j]) > 2 * radius_m]
        for i in range(num_clusters):
            if present[j][i]:
                distances = [math.dist(blocks[k][i], blocks[j][i]) for k in negatives]
                place[j][i] = 1 + sum(distances) / len(distances)
                environment[i] += sum(distances) / (count * (count - 1))
    return environment, place


def test_both_utilities_equal_the_formulas_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 100, size=(9, 2))
    blocks = rng.normal(size=(9, 4, 3)).astype(np.float32)
    present = rng.random((9, 4)) < 0.6
    negatives = find_negatives(places, radius_m=15)
    assert 0 < np.count_nonzero(~negatives) - 9 < 60  # some neighbours, not all
    environment, place = measure_utility(blocks.reshape(9, 12), present, negatives)
    expected = by_loops(blocks, present, places, 15)
    np.testing.assert_allclose(environment, expected[0], rtol=1e-12)
    np.testing.assert_allclose(place, expected[1], rtol=1e-12)


def test_utility_by_hand() -> None:
    # Three places 100 m apart, two clusters of one dimension; cluster 1 is absent from place 2.
    places = np.array([[0.0, 0], [100, 0], [200, 0]])
    descriptors = np.array([[0.0, 0], [3, 1], [1, 5]], np.float32)
    present = np.array([[True, True], [True, True], [True, False]])
    negatives = find_negatives(places, radius_m=49)
    environment, place = measure_utility(descriptors, present, negatives)
    assert place.tolist() == [
        [1 + (3 + 1) / 2, 1 + (1 + 5) / 2],
        [1 + (3 + 2) / 2, 1 + 2.5],
        [2.5, 0],
    ]
    assert environment.tolist() == [(4 + 5 + 3) / 6, (6 + 5) / 6]


def test_a_reference_without_negatives_is_a_clear_error() -> None:
    places = np.array([[0.0, 0], [60, 0], [100, 0]])  # the middle one is near both
    with pytest.raises(ValueError, match=r"database image 1 has no negative: .* within 60 m"):
        find_negatives(places, radius_m=30)
    at_the_edge = find_negatives(np.array([[0.0, 0], [60, 0], [121, 0]]), radius_m=30)
    assert at_the_edge.astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


def best_split_by_trying_all(values: list[float]) -> float:
    """Smallest sum of squares within two groups, over every way to form two groups."""
    best = math.inf
    for choice in itertools.product([False, True], repeat=len(values)):
        if any(choice) and not all(choice):
            parts = [
                [v for v, c in zip(values, choice, strict=True) if c == side] for side in (0, 1)
            ]
            best = min(best, sum(np.var(part) * len(part) for part in parts))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_the_split_is_the_best_of_all_two_groups(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=8) ** 3
    above = split_in_two(values)
    assert values[above].min() > values[~above].max()
    within = sum(np.var(values[side]) * side.sum() for side in (above, ~above))
    assert within == pytest.approx(best_split_by_trying_all(values.tolist()))


def test_low_clusters_are_the_lower_group_in_the_paper_and_that_of_cluster_0_as_released() -> None:
    first_is_high, first_is_low = np.array([9.0, 1, 8, 2]), np.array([1.0, 9, 2, 8])
    for values in (first_is_high, first_is_low):
        assert find_low_clusters(values, mode="paper").tolist() == (values < 5).tolist()
    assert find_low_clusters(first_is_high, mode="released").tolist() == [True, False, True, False]
    assert find_low_clusters(first_is_low, mode="released").tolist() == [True, False, True, False]
    for mode in ("paper", "released"):
        assert not find_low_clusters(np.full(4, 2.0), mode=mode).any()  # nothing to split


def test_clusters_are_kept_by_either_utility_or_both() -> None:
    place = np.array([[1.5, 0, 1.9, 1.2], [0, 1.3, 1.3, 0], [1.1, 1.2, 0, 0]])
    low = np.array([False, False, True, False])
    kept = {
        (keep, top): choose_clusters(place, low, keep=keep, top=top).astype(int).tolist()
        for keep, top in itertools.product(("environment", "place", "both"), (1, 9))
    }
    present = (place > 0).astype(int).tolist()
    not_low = [[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0]]
    assert kept["environment", 1] == kept["environment", 9] == kept["both", 9] == not_low
    assert kept["place", 9] == present
    assert kept["place", 1] == [[0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]]  # equal: lower number
    assert kept["both", 1] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


def image_keypoints(points: list[list[float]], size: tuple[int, int]) -> LocalPoints:
    return LocalPoints(
        np.array(points, np.float32).reshape(-1, 2), np.zeros((len(points), 128), np.uint8), size
    )


def test_a_keypoint_has_the_cluster_of_the_position_it_falls_on() -> None:
    won = np.array([[[0, 1, 2], [3, 4, 5]]])  # of 32 x 48 pixels, 16 for each position
    points = [[0, 0], [15.9, 15.9], [16, 0], [47.9, 15], [0, 16], [40, 31.9]]
    assert clusters_of(image_keypoints(points, (32, 48)), won).tolist() == [[0, 0, 1, 2, 3, 5]]
    half = [[x / 2, y / 2] for x, y in points]  # looked at scaled down
    assert clusters_of(image_keypoints(half, (16, 24)), won).tolist() == [[0, 0, 1, 2, 3, 5]]
    left_over = np.array([[[0, 1, 2], [3, 4, 5]]])  # of 46 x 48 pixels, the last 14 rows cut off
    assert clusters_of(image_keypoints([[0, 17], [0, 15.9], [0, 45]], (46, 48)), left_over)[
        0
    ].tolist() == [3, 0, 3]
    with pytest.raises(ValueError, match="8x3 positions does not lie on an image of 32x48"):
        clusters_of(image_keypoints(points, (32, 48)), np.zeros((1, 8, 3), np.int64))


def test_kept_keypoints_lie_on_kept_clusters_of_their_own_image(tmp_path: Path) -> None:
    points = [[5.0, 5], [20, 5], [40, 5]]
    images = [image_keypoints(points, (16, 48)), image_keypoints([], (16, 48)),
              image_keypoints(points[:2], (16, 48))]  # fmt: skip
    save_keypoints(tmp_path / "k", images)
    stored = load_keypoints(tmp_path / "k")
    maps = [np.array([[row]]) for row in ([0, 1, 2], [0, 0, 0], [2, 1, 0])]
    clusters = np.array([[True, False, True], [True] * 3, [False, True, False]])
    kept = choose_keypoints(stored, maps, clusters)
    assert kept.tolist() == [True, False, True, False, True]
    fewer = stored.only(kept)
    assert [len(fewer.of(image).points) for image in range(3)] == [2, 0, 1]
    np.testing.assert_array_equal(fewer.of(2).points, [[20, 5]])


def test_files_say_how_much_is_saved_and_are_checked(tmp_path: Path) -> None:
    save_utility(tmp_path / "u", np.array([True, False, True]), None, bytes_each=136)
    assert json.loads((tmp_path / "u/metrics.json").read_text()) == {
        "keypoints": 3, "keypoints_kept": 2, "keypoint_bytes": 408, "keypoint_bytes_saved": 136,
    }  # fmt: skip
    assert load_kept(tmp_path / "u/kept.npy", num_keypoints=3).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"expected \(4,\) of bool"):
        load_kept(tmp_path / "u/kept.npy", num_keypoints=4)
    save_radius(tmp_path / "r.json", 25)
    assert load_radius(tmp_path / "r.json") == 25
    (tmp_path / "r.json").write_text('{"radius_m": 0.0}')
    with pytest.raises(ValueError, match="metres above 0"):
        load_radius(tmp_path / "r.json")


PARAMS = """
rerank: {{method: sift}}
utility: {{keep: {keep}, mode: {mode}, top: 1}}
"""
AXES = torch.eye(512)[:3]


@pytest.fixture
def reference_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four places 100 m apart, seen as maps of 1 x 3 positions; behind the whole encoder.

    Position p of a map is the axis that MAPS names, so that this cluster wins it. A keypoint lies
    on each position.
    """
    monkeypatch.chdir(tmp_path)
    maps = (AXES[row].T[None, :, None].to(torch.bfloat16) for row in MAPS)
    save_features(Path("features"), maps)
    pool = {"pool.conv.weight": 50 * AXES[:, :, None, None], "pool.centroids": 0.1 * AXES}
    save_model(Path("model.pt"), Model("vgg16", None, "pool", pool))
    blocks = np.zeros((4, 3, 512), np.float32)
    blocks[:, :, 0] = BLOCKS
    rows = blocks.reshape(4, -1)
    np.save("descriptors.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    places = np.stack([100.0 * np.arange(4), np.zeros(4)], axis=1)
    save_index(Path("database.csv"), ImageIndex(list("abcd"), places))
    save_radius(Path("radius.json"), 25)
    points = [[8.0, 8], [24, 8], [40, 8]]
    save_keypoints(Path("keypoints"), [image_keypoints(points, (16, 48))] * 4)
    return tmp_path


MAPS = [[0, 1, 2], [0, 1, 1], [2, 0, 1], [0, 0, 2]]
# Unit rows: cluster 0 differs a little, cluster 1 more, cluster 2 most.
BLOCKS = [[0.8, 0.6, 0], [0.8, 0, 0.6], [0.8, 0, -0.6], [0.6, 0.8, 0]]


def kept_by_the_stage(keep: str, mode: str = "paper") -> list[list[bool]]:
    Path("params.yaml").write_text(PARAMS.format(keep=keep, mode=mode))
    utility(
        features=Path("features"), model=Path("model.pt"), descriptors=Path("descriptors.npy"),
        database=Path("database.csv"), radius=Path("radius.json"), keypoints=Path("keypoints"),
        utility=Path("utility"),
    )  # fmt: skip
    return load_kept(Path("utility/kept.npy"), num_keypoints=12).reshape(4, 3).tolist()


def test_the_cluster_of_a_position_is_the_one_that_wins_it(reference_map: Path) -> None:
    head = load_head(load_model(Path("model.pt")))
    won = assign_positions(head, load_features(Path("features")), torch.device("cpu"))
    assert [one.tolist() for one in won] == [[[row]] for row in MAPS]


def test_without_keypoints_there_is_nothing_to_choose_from(reference_map: Path) -> None:
    shutil.rmtree("keypoints")
    save_keypoints(Path("keypoints"), [image_keypoints([], (16, 48))] * 4)
    with pytest.raises(ValueError, match=r"utility\.keep = place: .* set utility\.keep to all"):
        kept_by_the_stage("place")


def test_a_keypoint_stays_if_its_cluster_is_kept_at_one_of_several_scales(tmp_path: Path) -> None:
    points = [[5.0, 5], [20, 5], [40, 5]]
    save_keypoints(tmp_path / "k", [image_keypoints(points, (16, 48))])
    scales = np.array([[[0, 1, 2]], [[1, 1, 0]]])  # two maps of one row
    chosen = choose_keypoints(
        load_keypoints(tmp_path / "k"), [scales], np.array([[True, False, False]])
    )
    assert chosen.tolist() == [True, False, True]


def test_stacked_scales_are_told_apart(tmp_path: Path) -> None:
    stacked = AXES[[0, 1, 2, 2, 1, 0]].T.reshape(1, 512, 2, 3)  # two scales of 1 x 3 positions
    save_features(tmp_path / "features", [stacked.to(torch.bfloat16)])
    pool = {"pool.conv.weight": 50 * AXES[:, :, None, None], "pool.centroids": 0.1 * AXES}
    features = load_features(tmp_path / "features")
    head = load_head(Model("vgg16", None, "pool", pool))
    head.num_scales = 2
    won = assign_positions(head, features, torch.device("cpu"))
    assert [one.tolist() for one in won] == [[[[0, 1, 2]], [[2, 1, 0]]]]


def test_the_stage_keeps_what_the_formulas_say(reference_map: Path) -> None:
    everything = [[True] * 3] * 4
    assert kept_by_the_stage("all") == everything
    assert not Path("utility/place.npy").exists()
    maps, blocks = np.array(MAPS), np.array(BLOCKS)[:, :, None]
    present = np.array([[cluster in row for cluster in range(3)] for row in MAPS])
    places = np.stack([100.0 * np.arange(4), np.zeros(4)], axis=1)
    environment, place = by_loops(blocks, present, places, 25)
    assert environment == pytest.approx([0.1, 0.35, 0.4])  # by hand
    low = [0]
    assert kept_by_the_stage("environment") == (~np.isin(maps, low)).tolist()
    np.testing.assert_allclose(np.load("utility/place.npy"), place, rtol=1e-6)
    best = np.argmax(place, axis=1)
    assert kept_by_the_stage("place") == (maps == best[:, None]).tolist()
    of_use = np.argmax(np.array(place) * [0, 1, 1], axis=1)
    assert kept_by_the_stage("both") == (maps == of_use[:, None]).tolist()


def test_the_released_mode_drops_the_group_of_cluster_0_even_where_it_is_of_use(
    reference_map: Path,
) -> None:
    order = [1, 0, 2]  # so that by hand ES is 0.5, 0.05, 0.4: cluster 1 alone is of little use
    rows = np.load("descriptors.npy").reshape(4, 3, 512)[:, order]
    np.save("descriptors.npy", rows.reshape(4, -1))
    maps = np.array(MAPS)
    paper, released = kept_by_the_stage("environment"), kept_by_the_stage("environment", "released")
    assert paper == (maps != 1).tolist()
    assert released == (maps == 1).tolist()
