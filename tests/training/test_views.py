"""Training sees the views that it draws, and without views draws nothing."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from tests.training.test_training import CPU, FEATURES, PLACES, head, make_features, positives
from vpr.features.feature_writer import FeatureWriter
from vpr.features.local_features import LocalFeatures, load_features
from vpr.features.view_folders import save_scales, view_folder
from vpr.features.views import DrawnViews, draw_views, load_views
from vpr.network.head import Head
from vpr.training.data import TrainingData
from vpr.training.epochs import group_losses
from vpr.training.losses import make_batch_loss, triplet_loss
from vpr.training.recipes import PlacesRecipe, Recipe, TripletRecipe
from vpr.training.state import TrainingState

__all__ = ["head", "positives"]  # fixtures
SMALL = make_features([(1, 2), (2, 1), (1, 2), (1, 2), (2, 1), (1, 2)])
SMALL.rows[:] += 1  # other numbers than the first view's


def triplets(seen: TrainingData) -> Recipe:
    return TripletRecipe(
        seen, triplet_loss, margin=2.0, batch_triplets=4, clip_norm=None, hard=False,
        nearest_positive=True, negative_radius_m=None, refresh_epochs=1,
    )  # fmt: skip


def places(seen: TrainingData) -> Recipe:
    return PlacesRecipe(
        seen, make_batch_loss("triplet", margin=2.0, mined=False), places_per_batch=3,
        images_per_place=2, clip_norm=None, negative_radius_m=None,
    )  # fmt: skip


def trained(head: Head, recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict]:
    state = TrainingState.start(copy.deepcopy(head), seed=3, lr=0.05, momentum=0.9, weight_decay=0)
    recipe.train(state, title="", device=CPU)
    return state.head.state_dict(), state.rng.bit_generator.state


def test_each_view_is_drawn_and_the_seed_repeats_it() -> None:
    many = make_features([(2, 3)] * 3000)
    drawn = draw_views([many] * 3, np.random.default_rng(0)).drawn
    assert (np.bincount(drawn, minlength=3) > 900).all()
    again = draw_views([many] * 3, np.random.default_rng(0)).drawn
    np.testing.assert_array_equal(drawn, again)
    assert (drawn != draw_views([many] * 3, np.random.default_rng(1)).drawn).any()


def test_maps_and_shapes_are_those_of_the_drawn_view() -> None:
    drawn = DrawnViews([FEATURES, SMALL], np.array([0, 1, 1, 0, 0, 1]))
    np.testing.assert_array_equal(drawn.shapes, [(2, 3), (2, 1), (1, 2), (2, 3), (3, 2), (1, 2)])
    for images, view in (([0, 3], FEATURES), ([2, 5], SMALL), ([1], SMALL), ([4], FEATURES)):
        assert torch.equal(drawn.maps(images), view.maps(images))


def test_gradients_come_from_the_drawn_view(head: Head) -> None:
    drawn = DrawnViews([FEATURES, SMALL], np.array([0, 1, 1, 0, 0, 1]))
    group = np.array([[0, 1, 3], [5, 4, 2]])
    losses, _, _ = group_losses(head, drawn, group, loss=triplet_loss, margin=2.0, device=CPU)
    losses.sum().backward()
    ours = [parameter.grad.clone() for parameter in head.parameters()]
    head.zero_grad()
    of = {image: (SMALL if image in (1, 2, 5) else FEATURES).maps([image]) for image in range(6)}
    for triplet in group.tolist():
        torch.nn.TripletMarginLoss(margin=2.0)(*(head(of[image]) for image in triplet)).backward()
    for one, other in zip(ours, head.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("recipe", [triplets, places])
def test_an_epoch_trains_on_what_it_drew(
    recipe: type, head: Head, positives: csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = trained(head, recipe(TrainingData(FEATURES, positives, PLACES)))
    viewed = TrainingData(FEATURES, positives, PLACES, [SMALL])
    moved, _ = trained(head, recipe(viewed))
    again, _ = trained(head, recipe(viewed))
    assert all(torch.equal(moved[name], again[name]) for name in moved)
    assert not all(torch.equal(moved[name], plain[name]) for name in moved)
    # Two views of equal content are as one: only the chance after the epoch differs.
    same, _ = trained(head, recipe(TrainingData(FEATURES, positives, PLACES, [FEATURES])))
    for name, tensor in plain.items():
        torch.testing.assert_close(same[name], tensor, atol=1e-6, rtol=1e-5)


def test_without_views_no_chance_is_spent(positives: csr_array) -> None:
    rng = np.random.default_rng(0)
    assert TrainingData(FEATURES, positives, PLACES).draw(rng) is FEATURES
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_held_out_images_are_left_out_of_every_view(positives: csr_array) -> None:
    seen = TrainingData(FEATURES, positives, PLACES, [SMALL]).without_last(2)
    drawn = seen.draw(np.random.default_rng(0))
    assert drawn.shapes.shape == (4, 2)


def write(folder: Path, count: int, dim: int, dtype: torch.dtype = torch.float32) -> LocalFeatures:
    with FeatureWriter(folder) as writer:
        writer.append(torch.ones(count, dim, 2, 3, dtype=dtype))
    return load_features(folder)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ((3, 4), r"views/0\.5 is of 3 images with 4 channels of float32, .* of 2 with 4"),
        ((2, 5), r"views/0\.5 is of 2 images with 5 channels"),
        ((2, 4, torch.float16), r"views/0\.5 is .* of float16, .* of float32: run `dvc repro`"),
    ],
)
def test_views_of_other_features_are_refused(tmp_path: Path, view: tuple, words: str) -> None:
    first = write(tmp_path / "first", 2, 4)
    save_scales(tmp_path / "views", [0.5])
    write(view_folder(tmp_path / "views", 0.5), *view)
    with pytest.raises(ValueError, match=words):
        load_views(tmp_path / "views", first)


@pytest.mark.parametrize("content", ["", "[", "{}", "5", '["a"]', "[null]"])
def test_a_damaged_list_of_scales_is_refused_by_name(tmp_path: Path, content: str) -> None:
    first = write(tmp_path / "first", 2, 4)
    (tmp_path / "scales.json").write_text(content)
    with pytest.raises(ValueError, match=r"scales\.json: expected a list of scales"):
        load_views(tmp_path, first)
