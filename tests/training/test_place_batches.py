"""Batches of places: drawn right, the losses' gradients are the written-out ones, runs repeat."""

from __future__ import annotations

import copy
import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.test_training import CPU, FEATURES, PLACES, head, same
from vpr.network.head import Head
from vpr.places.radius import find_training_positives
from vpr.training.data import TrainingData
from vpr.training.epochs import train_epoch
from vpr.training.loop import Schedule, train
from vpr.training.losses import make_batch_loss, measure_places
from vpr.training.place_batches import (
    PlacesRecipe,
    draw_places,
    find_near,
    group_places,
    label_places,
)
from vpr.training.state import TrainingState

__all__ = ["head"]  # fixtures
ROUTE = np.stack([np.arange(60) * 11.0, np.zeros(60)], axis=1)  # metres; Berlin's spacing
LOSSES = ("triplet", "contrastive", "multi_similarity")
NUMBERS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])  # of the places of eight images


def seen_along(route: np.ndarray, radius_m: float) -> TrainingData:
    return TrainingData(FEATURES, find_training_positives(route, radius_m=radius_m), route)


@pytest.mark.parametrize("ring_m", [None, 100.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_image_is_drawn_once_and_places_of_a_batch_are_apart(
    ring_m: float | None, seed: int
) -> None:
    seen, rng = seen_along(ROUTE, 50), np.random.default_rng(seed)
    places = draw_places(seen.positives, images_per_place=4, rng=rng)
    near = find_near(seen, radius_m=ring_m)
    batches = group_places(places, near, places_per_batch=4, rng=rng)
    images = [int(image) for batch in batches for place in batch for image in place]
    assert sorted(images) == list(range(60))
    for batch in batches:
        assert 1 <= len(batch) <= 4
        for place in batch:
            assert np.ptp(ROUTE[place, 0]) <= 50
        for one, other in itertools.combinations(batch, 2):
            apart = np.abs(ROUTE[one, 0][:, None] - ROUTE[other, 0])
            assert apart.min() > (ring_m or 50)
    assert len(batches) <= -(-len(places) // 4) + (1 if ring_m is None else 3)
    assert ring_m or min(map(len, batches)) >= 2


def test_the_cuts_of_the_route_move_from_epoch_to_epoch() -> None:
    near, rng = seen_along(ROUTE, 50).positives, np.random.default_rng(0)
    sizes = {len(draw_places(near, images_per_place=4, rng=rng)[0]) for _ in range(50)}
    assert sizes == {1, 2, 3, 4}


def test_images_at_one_spot_are_one_place_and_a_lonely_one_is_its_own() -> None:
    route = np.array([[0.0, 0], [0, 0], [900, 0], [5, 0]])
    near = find_training_positives(route, radius_m=10)
    drawn = [draw_places(near, images_per_place=3, rng=np.random.default_rng(s)) for s in range(9)]
    assert [[0, 1, 3], [2]] in [[place.tolist() for place in places] for places in drawn]


@pytest.mark.parametrize(
    ("spacing_m", "words"),
    [(90.0, "no place has two images"), (1.0, r"the database is \d place\(s\), no two of them")],
)
def test_what_no_batch_can_be_made_of_is_refused(spacing_m: float, words: str) -> None:
    route = ROUTE[:6] * spacing_m / 11
    seen, rng = seen_along(route, 50), np.random.default_rng(0)
    places = draw_places(seen.positives, images_per_place=4, rng=rng)
    with pytest.raises(ValueError, match=words):
        group_places(places, find_near(seen, radius_m=None), places_per_batch=4, rng=rng)


def pairs(numbers: Tensor, *, alike: bool) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i, j in itertools.permutations(range(len(numbers)), 2)
        if (numbers[i] == numbers[j]) == alike
    ]


def mined(rows: Tensor) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Wang et al., CVPR 2019, equations 11 and 12, written out."""
    positive, negative = pairs(NUMBERS, alike=True), pairs(NUMBERS, alike=False)
    cosine = {(i, j): (rows[i] @ rows[j]).item() for i, j in positive + negative}
    farthest = {
        i: min([cosine[p] for p in positive if p[0] == i], default=np.inf) for i in range(8)
    }
    nearest = {i: max(cosine[n] for n in negative if n[0] == i) for i in range(8)}
    return (
        [p for p in positive if cosine[p] < nearest[p[0]] + 0.1],
        [n for n in negative if cosine[n] > farthest[n[0]] - 0.1],
    )


def written_out(name: str, rows: Tensor, *, is_mined: bool) -> Tensor:
    """The loss as the docstring of make_batch_loss has it, in plain loops; margin 0.9."""
    positive, negative = (
        mined(rows)
        if is_mined and name != "triplet"
        else (pairs(NUMBERS, alike=True), pairs(NUMBERS, alike=False))
    )

    def distance(pair: tuple[int, int]) -> Tensor:
        return (rows[pair[0]] - rows[pair[1]]).norm()

    def mean_above_0(values: list[Tensor]) -> Tensor:
        above = [value for value in values if value > 0]
        return sum(above) / len(above) if above else torch.tensor(0.0)

    if name == "triplet":
        triplets = [(p, n) for p in positive for n in negative if p[0] == n[0]]
        if is_mined:  # of each image the one of its nearest positive and its nearest negative
            triplets = [
                min(own, key=lambda t: (distance(t[0]).item(), distance(t[1]).item()))
                for image in range(8)
                if (own := [triplet for triplet in triplets if triplet[0][0] == image])
            ]
        terms = [(distance(p) - distance(n) + 0.9).clamp(min=0) for p, n in triplets]
        return mean_above_0(terms) if is_mined else sum(terms) / len(terms)
    if name == "contrastive":
        others = [(0.9 - distance(n)).clamp(min=0) for n in negative]
        return mean_above_0([distance(p) for p in positive]) + mean_above_0(others)
    total = torch.zeros(())
    for i in range(8):
        together = sum((-(rows[i] @ rows[j])).exp() for a, j in positive if a == i)
        apart = sum((50 * (rows[i] @ rows[j])).exp() for a, j in negative if a == i)
        total = (
            total
            + torch.log(1 + together + 0 * rows.sum())
            + torch.log(1 + apart + 0 * rows.sum()) / 50
        )
    return total / 8


@pytest.mark.parametrize("is_mined", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_each_loss_are_the_written_out_ones(name: str, is_mined: bool) -> None:
    torch.manual_seed(0)
    raw = torch.randn(8, 5, dtype=torch.float64, requires_grad=True)
    loss = make_batch_loss(name, margin=0.9, mined=is_mined)
    ours = loss(torch.nn.functional.normalize(raw), NUMBERS)
    (gradient,) = torch.autograd.grad(ours, raw)
    plain = written_out(name, torch.nn.functional.normalize(raw), is_mined=is_mined)
    (expected,) = torch.autograd.grad(plain, raw)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("places", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_with_nothing_to_learn_has_a_zero_gradient(name: str, places: list[int]) -> None:
    numbers = torch.tensor(places)  # two places, one alone, four of one image
    rows = torch.nn.functional.one_hot(numbers, 4).float().requires_grad_()
    loss = make_batch_loss(name, margin=0.9, mined=True)(rows, numbers)
    loss.backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()
    if name != "contrastive":
        assert rows.grad.abs().max() == 0


def start(head: Head, *, seed: int = 0) -> TrainingState:
    return TrainingState.start(
        copy.deepcopy(head), seed=seed, momentum=0.9, weight_decay=0, optimizer="adamw"
    )


def recipe() -> PlacesRecipe:
    return PlacesRecipe(
        TrainingData(FEATURES, find_training_positives(PLACES, radius_m=10), PLACES),
        make_batch_loss("multi_similarity", margin=0.9, mined=True),
        places_per_batch=3, images_per_place=2, negative_radius_m=None,
    )  # fmt: skip


SCHEDULE = Schedule(5, lr=0.01, cosine=True, warmup_epochs=2, clip_norm=1.0)


def test_places_that_are_saved_and_loaded_between_epochs_end_at_the_same_bits(
    head: Head, tmp_path: Path
) -> None:
    straight, halted = start(head), start(head)
    list(train(straight, recipe(), SCHEDULE, validation=None, device=CPU))
    epochs = train(halted, recipe(), SCHEDULE, validation=None, device=CPU)
    next(epochs), next(epochs)
    torch.save(halted.state_dict(), tmp_path / "a")
    resumed = start(head, seed=99)
    resumed.load_state_dict(torch.load(tmp_path / "a", weights_only=True))
    assert len(list(train(resumed, recipe(), SCHEDULE, validation=None, device=CPU))) == 3
    assert resumed.records == straight.records
    assert all(record["num_images"] == len(PLACES) for record in straight.records)
    assert same(resumed.head, straight.head)
    assert not same(straight.head, head)


def test_the_means_of_an_epoch_are_those_of_its_batches(head: Head) -> None:
    batches = [[np.array([0, 1]), np.array([3, 4])], [np.array([2]), np.array([5])]]
    with torch.no_grad():
        rows = torch.cat([head(FEATURES.maps([image])) for image in range(6)])

    def gap(i: int, j: int) -> float:
        return float((rows[i] - rows[j]).norm())

    still = torch.optim.SGD(head.parameters(), lr=0.0)
    loss = make_batch_loss("triplet", margin=2.0, mined=False)
    means = train_epoch(
        head, still, FEATURES, list(map(label_places, batches)),
        partial(measure_places, loss=loss), clip_norm=None, title="", device=CPU,
    )  # fmt: skip
    assert means["active_share"] == pytest.approx(4 / 6)  # the second batch has no positive
    assert means["positive_distance"] == pytest.approx((gap(0, 1) + gap(3, 4)) / 2, abs=1e-3)
    nearest = [min(gap(i, 3), gap(i, 4)) for i in (0, 1)] + [
        min(gap(0, j), gap(1, j)) for j in (3, 4)
    ]
    expected = (sum(nearest) + 2 * gap(2, 5)) / 6
    assert means["negative_distance"] == pytest.approx(expected, abs=1e-3)
    pairs_of = {(0, 1): (3, 4), (1, 0): (3, 4), (3, 4): (0, 1), (4, 3): (0, 1)}
    terms = [gap(a, p) - gap(a, n) + 2 for (a, p), others in pairs_of.items() for n in others]
    assert means["loss"] == pytest.approx(np.mean(terms) / 2, abs=1e-3)
