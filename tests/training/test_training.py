"""Triplets are right, gradients are the group's mean, and training repeats."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.vgg16 import make_encoder
from vpr.features.local_features import LocalFeatures, features_of
from vpr.features.model import load_model
from vpr.network.head import Head
from vpr.places.radius import find_training_positives
from vpr.training.data import TrainingData, Validation
from vpr.training.epochs import describe_database, describe_distinct, train_epoch
from vpr.training.loop import Schedule, train
from vpr.training.losses import measure_triplets
from vpr.training.mining import (
    TripletRecipe,
    find_anchors,
    find_negatives,
    group_triplets,
    mine_triplets,
)
from vpr.training.state import Record, TrainingState

CPU = torch.device("cpu")
NUM = 6
PLACES = np.stack([np.arange(NUM) * 10.0, np.zeros(NUM)], axis=1)  # neighbours are 10 m apart


@pytest.fixture
def positives() -> csr_array:
    return find_training_positives(PLACES, radius_m=10)


@pytest.fixture
def head() -> Head:
    torch.manual_seed(0)
    head = Head(make_encoder(), "pool", NetVLAD(2, 4, with_bias=False))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def make_features(shapes: list[tuple[int, int]]) -> LocalFeatures:
    counts = [height * width for height, width in shapes]
    rows = np.random.default_rng(0).normal(size=(sum(counts), 4)).astype(np.float32)
    return features_of(rows, np.array(shapes))


MEASURE = partial(measure_triplets, margin=2.0)
FEATURES = make_features([(2, 3), (3, 2), (2, 3), (2, 3), (3, 2), (2, 3)])


def mine(positives: csr_array, *, hard: bool, margin: float = 0.3, seed: int = 0) -> np.ndarray:
    anchors = find_anchors(positives)
    negatives = [find_negatives(positives, PLACES, a, radius_m=None) for a in anchors]
    descriptors = np.random.default_rng(1).normal(size=(NUM, 3)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    triplets = mine_triplets(
        anchors, positives, negatives, descriptors, hard=hard, nearest_positive=True,
        margin=margin, rng=np.random.default_rng(seed),
    )  # fmt: skip
    for anchor, near, far in triplets:
        assert abs(int(anchor) - int(near)) == 1
        assert abs(int(anchor) - int(far)) > 1
        if hard:
            away = np.linalg.norm(descriptors - descriptors[anchor], axis=1)
            allowed = [i for i in range(NUM) if abs(i - anchor) > 1]
            assert away[far] == pytest.approx(away[allowed].min())
            assert away[far] < away[near] + margin
    return triplets


@pytest.mark.parametrize("hard", [True, False])
def test_triplets_have_a_true_positive_and_a_true_negative(
    positives: csr_array, hard: bool
) -> None:
    assert len(mine(positives, hard=hard)) > 0


def test_anchors_without_a_violating_negative_are_skipped(positives: csr_array) -> None:
    assert len(mine(positives, hard=True, margin=0.001)) < len(mine(positives, hard=False)) == NUM


def test_a_negative_radius_leaves_a_ring_out(positives: csr_array) -> None:
    assert find_negatives(positives, PLACES, 0, radius_m=None).tolist() == [2, 3, 4, 5]
    assert find_negatives(positives, PLACES, 0, radius_m=30).tolist() == [4, 5]


def test_without_any_positive_there_is_a_clear_error() -> None:
    lonely = find_training_positives(PLACES, radius_m=5)
    with pytest.raises(ValueError, match="none of the 6 database images has another one"):
        find_anchors(lonely)


def test_gradient_of_a_group_is_the_mean_over_its_triplets(head: Head) -> None:
    group = np.array([[0, 1, 3], [1, 2, 5], [4, 3, 0]])
    ((images, roles),) = group_triplets(group, batch_triplets=3)
    descriptors = describe_distinct(head, FEATURES, images.tolist(), CPU)
    measure_triplets(descriptors, roles, margin=2.0).losses.mean().backward()
    together = [parameter.grad.clone() for parameter in head.parameters()]
    sums = [torch.zeros_like(gradient) for gradient in together]
    for triplet in group:
        head.zero_grad()
        maps = [FEATURES.maps([int(image)]) for image in triplet]
        anchor, near, far = (head(each) for each in maps)
        torch.nn.TripletMarginLoss(margin=2.0)(anchor, near, far).backward()
        for total, parameter in zip(sums, head.parameters(), strict=True):
            total += parameter.grad / len(group)
    for ours, mean in zip(together, sums, strict=True):
        torch.testing.assert_close(ours, mean, atol=1e-6, rtol=1e-4)


def run(head: Head, positives: csr_array, *, seed: int, epochs: int = 4) -> tuple[Head, list]:
    state = start(head, seed=seed)
    return state.head, list(go_on(state, positives, epochs=epochs))


def start(head: Head, *, seed: int) -> TrainingState:
    return TrainingState.start(copy.deepcopy(head), seed=seed, momentum=0.9, weight_decay=0)


def go_on(
    state: TrainingState, positives: csr_array, *, epochs: int,
    validation: Validation | None = None, refresh_epochs: int = 1, patience: int | None = None,
) -> Iterator[Record]:  # fmt: skip
    recipe = TripletRecipe(
        TrainingData(FEATURES, positives, PLACES), margin=0.5, batch_triplets=4, hard=False,
        nearest_positive=True, negative_radius_m=None, refresh_epochs=refresh_epochs,
    )  # fmt: skip
    schedule = Schedule(epochs, lr=0.05, patience=patience)
    return train(state, recipe, schedule, validation=validation, device=CPU)


def test_loss_falls_and_one_seed_repeats(head: Head, positives: csr_array) -> None:
    first, records = run(head, positives, seed=0, epochs=30)
    again, _ = run(head, positives, seed=0, epochs=30)
    other, _ = run(head, positives, seed=1, epochs=30)
    early, late = (np.mean([r["loss"] for r in part]) for part in (records[:5], records[-5:]))
    assert late < 0.7 * early
    assert all(r["num_triplets"] == NUM for r in records)  # 4 and then a group of 2
    assert torch.equal(first.pool.centroids, again.pool.centroids)
    assert not torch.equal(first.pool.centroids, other.pool.centroids)


def test_no_epochs_change_nothing_even_without_positives(head: Head) -> None:
    lonely = find_training_positives(PLACES, radius_m=5)
    trained, records = run(head, lonely, seed=0, epochs=0)
    assert records == []
    assert torch.equal(trained.pool.centroids, head.pool.centroids)


def test_a_diverging_loss_stops_with_advice(head: Head, positives: csr_array) -> None:
    head.pool.centroids.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"smaller finetune.lr"):
        run(head, positives, seed=0)


def same(one: Head, other: Head) -> bool:
    mine, its = one.state_dict(), other.state_dict()
    return all(torch.equal(tensor, its[name]) for name, tensor in mine.items())


def test_training_that_is_saved_and_loaded_between_epochs_ends_at_the_same_bits(
    head: Head, positives: csr_array, tmp_path: Path
) -> None:
    validation = Validation(TrainingData(FEATURES, positives, PLACES), num_held_out=3)
    straight = start(head, seed=3)
    list(go_on(straight, positives, epochs=5, validation=validation, refresh_epochs=3))
    halted = start(head, seed=3)
    epochs = go_on(halted, positives, epochs=5, validation=validation, refresh_epochs=3)
    next(epochs), next(epochs)
    torch.save(halted.state_dict(), tmp_path / "a")
    resumed = start(head, seed=99)
    resumed.load_state_dict(torch.load(tmp_path / "a", weights_only=True))
    rest = list(go_on(resumed, positives, epochs=5, validation=validation, refresh_epochs=3))
    assert len(rest) == 3
    assert resumed.records == straight.records
    assert resumed.recalls == straight.recalls
    assert same(resumed.head, straight.head)
    assert all(torch.equal(resumed.best[name], straight.best[name]) for name in straight.best)


def test_images_without_a_positive_are_no_anchors() -> None:
    places = np.array([[0.0, 0], [0, 0], [500, 0], [10, 0]])  # two at one place, one far away
    assert find_anchors(find_training_positives(places, radius_m=10)).tolist() == [0, 1, 3]


def test_the_positive_is_the_nearest_descriptor_or_any(positives: csr_array) -> None:
    angles = np.deg2rad([0, 40, 10, 90, 60, 100])  # image 1 is nearer to 2 than to 0
    descriptors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    anchors = np.array([1])
    negatives = [find_negatives(positives, PLACES, 1, radius_m=None)]
    for nearest, expected in ((True, {2}), (False, {0, 2})):
        rng = np.random.default_rng(0)
        found = {
            int(
                mine_triplets(
                    anchors, positives, negatives, descriptors, hard=False,
                    nearest_positive=nearest, margin=0.3, rng=rng,
                )[0, 1]
            )
            for _ in range(30)
        }  # fmt: skip
        assert found == expected


def test_descriptors_for_mining_are_refreshed_when_they_are_due(
    head: Head, positives: csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def describe(*network: Any) -> np.ndarray:  # noqa: ANN401 - as the room's own
        computed.append(describe_database(*network))
        return computed[-1]

    monkeypatch.setattr("vpr.training.mining.describe_database", describe)
    state = start(head, seed=0)
    counts = [len(computed) for _ in go_on(state, positives, epochs=5, refresh_epochs=2)]
    assert counts == [1, 1, 2, 2, 3]
    assert not np.array_equal(computed[0], computed[1])


@pytest.mark.parametrize("num_steps, words", [(1, "a weight is"), (2, "the loss or its gradient")])
def test_training_that_diverges_stops_and_names_the_rate(
    head: Head, num_steps: int, words: str
) -> None:
    images = np.array([[0, 1, 3], [1, 2, 5]])[:num_steps]  # after the last step only weights show
    ours = copy.deepcopy(head)
    optimizer = torch.optim.SGD(ours.parameters(), lr=1e38, weight_decay=1e4)  # to infinity
    with pytest.raises(ValueError, match=f"{words} .*: try a smaller finetune.lr"):
        train_epoch(
            ours, optimizer, FEATURES, group_triplets(images, batch_triplets=1), MEASURE,
            clip_norm=None, title="", device=CPU,
        )  # fmt: skip


def test_an_epoch_is_a_step_per_group_and_the_short_last_group_counts(head: Head) -> None:
    images = np.array([[0, 1, 3], [1, 2, 5], [4, 3, 0]])
    ours, literal = copy.deepcopy(head), copy.deepcopy(head)
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    means = train_epoch(
        ours, optimizer, FEATURES, group_triplets(images, batch_triplets=2), MEASURE,
        clip_norm=None, title="", device=CPU,
    )  # fmt: skip
    losses, near, far, norms = [], [], [], []
    for group in (images[:2], images[2:]):
        values = []
        for triplet in group:
            a, p, n = (literal(FEATURES.maps([int(image)]))[0] for image in triplet)
            to_near, to_far = (a - p).norm(), (a - n).norm()
            values.append((to_near - to_far + 2.0).clamp(min=0))
            near.append(to_near.item()), far.append(to_far.item())
        gradients = torch.autograd.grad(sum(values) / len(values), list(literal.parameters()))
        losses += [value.item() for value in values]
        norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        with torch.no_grad():
            for parameter, gradient in zip(literal.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    for mine, its in zip(ours.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-4)
    assert means["active_share"] == 1
    measured = [means[name] for name in ("loss", "positive_distance", "negative_distance")]
    assert measured == pytest.approx([np.mean(losses), np.mean(near), np.mean(far)], abs=1e-4)
    assert means["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-3)


def test_frozen_tensors_do_not_move_and_all_others_do(finished_pipeline: Path) -> None:
    models = finished_pipeline / "models"
    frozen, start = (
        load_model(models / "initial" / f"{x}.pt").tensors for x in ("frozen", "trainable")
    )
    model = load_model(models / "netvlad" / "model.pt").tensors
    assert set(model) == {*frozen, *start, "pool.conv.weight", "pool.centroids"}
    assert len(frozen) == 20
    assert all(torch.equal(model[name], tensor) for name, tensor in frozen.items())
    assert not any(torch.equal(model[name], tensor) for name, tensor in start.items())
