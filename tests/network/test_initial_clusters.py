"""NetVLAD's first clusters: chosen by what the photos are, so that one more moves little."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vpr.features.local_features import LocalFeatures, features_of, position_rows
from vpr.features.model import Model
from vpr.network import initial_clusters
from vpr.network.initial_clusters import draw_rows, initial_pool, sample_encoded
from vpr.network.initial_model import start_model

CPU = torch.device("cpu")
DIM = 8


class Head:
    """A head whose encoder passes features on."""

    def to(self, device: torch.device) -> Head:
        """Stay where it is."""
        return self

    def encode(self, features: Tensor) -> Tensor:
        """Pass features on."""
        return features.float()


def photos(count: int, seed: int = 0) -> list[Tensor]:
    """Maps of two sizes, around a few directions."""
    rng = torch.Generator().manual_seed(seed)
    kinds = torch.randn(6, DIM, generator=rng)
    listed = []
    for number in range(count):
        size = (3, 4) if number % 3 else (2, 5)
        near = kinds[torch.randint(0, 6, size, generator=rng)]
        rows = near + 0.3 * torch.randn(*size, DIM, generator=rng)
        listed.append(rows.permute(2, 0, 1)[None].bfloat16())
    return listed


def stored(listed: list[Tensor]) -> LocalFeatures:
    shapes = np.array([photo.shape[2:] for photo in listed])
    return features_of(np.concatenate(list(map(position_rows, listed))), shapes)


def sample(listed: list[Tensor], seed: int = 0) -> np.ndarray:
    return sample_encoded(Head(), stored(listed), seed=seed, device=CPU)  # type: ignore[arg-type]


def pool_of(listed: list[Tensor], seed: int = 0) -> dict[str, Tensor]:
    return initial_pool(sample(listed, seed), num_clusters=6, vlad_version=1, seed=seed)


def test_photos_in_another_order_give_the_same_clusters_and_another_seed_others() -> None:
    listed = photos(30)
    pool = pool_of(listed)
    for order in (range(29, -1, -1), np.random.default_rng(0).permutation(30).tolist()):
        other = pool_of([listed[number] for number in order])
        assert all(torch.equal(pool[name], tensor) for name, tensor in other.items())
    assert not torch.equal(pool_of(listed, seed=1)["pool.centroids"], pool["pool.centroids"])


def test_rows_in_another_order_give_the_same_clusters() -> None:
    rows = sample(photos(30))
    pool, other = (
        initial_pool(each, num_clusters=6, vlad_version=2, seed=0) for each in (rows, rows[::-1])
    )
    assert all(torch.equal(pool[name], tensor) for name, tensor in other.items())


def test_of_many_photos_one_more_is_seldom_among_those_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(initial_clusters, "MAX_IMAGES", 20)
    monkeypatch.setattr(initial_clusters, "NUM_SAMPLES", 100)  # 5 positions of each
    listed, more = photos(60), photos(60, seed=1)
    before = {row.tobytes() for row in sample(listed)}
    assert len(before) == 100
    num_changed = 0
    for position, photo in enumerate(more):
        after = {row.tobytes() for row in sample([*listed[:position], photo, *listed[position:]])}
        assert len(after - before) in (0, 5)
        num_changed += after != before
    assert 10 <= num_changed <= 30  # 20 of 61, in 60 attempts: 20, with a deviation of 4


def test_a_photo_gives_the_same_positions_whatever_others_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = photos(20)
    monkeypatch.setattr(initial_clusters, "NUM_SAMPLES", 80)
    four_each = {row.tobytes() for row in sample(listed)}
    assert len(four_each) == 80
    eight_each = {row.tobytes() for row in sample(listed[:10])}
    assert len(four_each & eight_each) == 40


def test_rows_to_start_from_are_mostly_the_same_with_one_row_more() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    draws = rng.integers(0, 2**64, 400, dtype=np.uint64)
    drawn = draw_rows(rows, draws, 10)
    assert len(set(drawn)) == 10
    shared = []
    for gone in range(0, 400, 10):
        kept = np.delete(np.arange(400), gone)
        again = kept[draw_rows(rows[kept], draws[kept], 10)]
        assert gone not in again
        shared.append(len(np.intersect1d(drawn, again)) / 10)
    assert np.mean(shared) > 0.95  # of other variates it would be 1 in 40


def test_rows_to_start_from_are_drawn_by_their_squared_distance() -> None:
    # The first is any of the three directions; the second is one of the others by its weight.
    angles = np.radians([0, 40, 100])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    rng = np.random.default_rng(1)
    firsts, num_far = [], 0
    for _ in range(3000):
        first, second = draw_rows(points, rng.integers(0, 2**64, 3, dtype=np.uint64), 2)
        firsts.append(first)
        if first == 0:
            num_far += second == 2
    counts = np.bincount(firsts)
    assert (np.abs(counts - 1000) < 100).all()
    near, far = (2 - 2 * np.cos(angle) for angle in np.radians([40, 100]))
    assert num_far / counts[0] == pytest.approx(far / (near + far), abs=0.04)


def starting_model(**tensors: Tensor) -> Model:
    return Model("efficientnet_lite", "lite0", "pool", tensors)


def test_clusters_of_the_weights_are_kept_or_found_anew_without_their_whitening() -> None:
    weights = {
        "pool.conv.weight": torch.rand(3, 112, 1, 1), "pool.conv.bias": torch.rand(3),
        "pool.centroids": torch.rand(3, 112), "WPCA.0.weight": torch.rand(2, 336, 1, 1),
        "WPCA.0.bias": torch.rand(2),
    }  # fmt: skip
    model = starting_model(**weights)
    features = stored([torch.rand(1, 112, 3, 4) for _ in range(4)])
    given = {"aggregator": "netvlad", "descriptor_dim": None, "seed": 0, "device": CPU}
    kept, words = start_model(model, features, num_clusters=3, vlad_version=2, **given)  # type: ignore[arg-type]
    assert words == "pool of 3 clusters (vladv2) from the weights"
    assert kept.tensors.keys() == weights.keys()
    assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in weights.items())
    made, words = start_model(
        model, features, num_clusters=5, vlad_version=1, refit=True, **given  # type: ignore[arg-type]
    )  # fmt: skip
    assert words == "pool of 5 clusters (vladv1) by k-means of 48 features"
    assert made.tensors.keys() == {"pool.conv.weight", "pool.centroids"}
    assert made.tensors["pool.centroids"].shape == (5, 112)
