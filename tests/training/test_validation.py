"""Validation looks at held-out database images, never at themselves, and training not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.vgg16 import make_encoder
from vpr.features.local_features import features_of
from vpr.features.model import Model, load_model
from vpr.network.head import Head
from vpr.places.radius import find_training_positives
from vpr.training.data import TrainingData, count_held_out, held_out_recall
from vpr.training.loop import is_stalled, save_training
from vpr.training.state import TrainingState

RECORD = {"loss": 1.0, "num_triplets": 1, "active_share": 1.0}


def rows(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_recall_of_held_out_images_by_hand() -> None:
    # The last three of eight are held out: 5 and 6 at one place (0 m apart), 7 near no other.
    places = np.array([0, 10, 20, 30, 40, 100, 100, 900.0])
    near = find_training_positives(np.stack([places, 0 * places], axis=1), radius_m=10)
    assert near.indptr[5:].tolist() == [near.nnz - 2, near.nnz - 1, near.nnz, near.nnz]
    # Image 5 at 50 degrees finds 7, 4, 3, 6, which is its place. Image 6 at 26 finds 3, 2, 4, 1
    # and fifth 0: its place, 5, is sixth. Image 7 has nothing to find and does not count.
    descriptors = rows(5, 10, 20, 30, 40, 50, 26, 51)
    assert held_out_recall(descriptors, near, num_held_out=3) == 0.5
    descriptors[0] = rows(-20)[0]  # now farther from 6 than 5 is
    assert held_out_recall(descriptors, near, num_held_out=3) == 1


def test_images_alone_at_their_place_cannot_validate() -> None:
    lonely = csr_array((4, 4))
    with pytest.raises(ValueError, match="none of the 2 held-out images"):
        held_out_recall(rows(0, 1, 2, 3), lonely, num_held_out=2)


def test_the_end_of_the_route_is_held_out_and_stored_zeros_stay() -> None:
    places = np.array([[0.0, 0], [0, 0], [5, 0], [5, 0]])
    shapes = np.array([[1, 1], [1, 2], [2, 2], [1, 1]])
    features = features_of(np.arange(8, dtype=np.float32)[:, None], shapes)
    whole = TrainingData(features, find_training_positives(places, radius_m=5), places)
    seen = whole.without_last(2)
    assert seen.features.shapes.tolist() == [[1, 1], [1, 2]]
    assert seen.features.maps([1]).flatten().tolist() == [1, 2]
    assert seen.positives.indices.tolist() == [1, 0]  # two images at one place, 0 m apart
    assert seen.coordinates.tolist() == [[0, 0], [0, 0]]
    assert whole.without_last(0).positives.indices.tolist() == whole.positives.indices.tolist()


@pytest.mark.parametrize(("fraction", "held_out"), [(0, 0), (0.2, 2), (0.25, 2), (0.5, 5)])
def test_the_fraction_is_rounded_down_to_images(fraction: float, held_out: int) -> None:
    assert count_held_out(10, fraction) == held_out


def test_a_fraction_counts_as_it_is_written() -> None:
    # 100 * 0.29 is 28.999999999999996 in binary.
    assert count_held_out(100, 0.29) == 29
    for percent in range(1, 51):
        for num_images in (100, 200, 1000):
            assert count_held_out(num_images, percent / 100) == num_images * percent // 100
    assert count_held_out(100_000, 1e-05) == 1


@pytest.mark.parametrize("fraction", [-0.1, 0.05, 0.6])
def test_a_fraction_of_no_image_or_most_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"expected 0, or between 1/10 .* and 0\.5"):
        count_held_out(10, fraction)


def test_the_last_of_the_best_is_kept(tmp_path: Path) -> None:
    head = Head(make_encoder(), "pool", NetVLAD(1, 1, with_bias=False))
    state = TrainingState.start(head, seed=0, momentum=0, weight_decay=0)
    for epoch, recall in enumerate([0.5, 0.75, 0.75, 0.25]):
        head.pool.centroids.data.fill_(epoch)
        state.note_recall(recall)
    assert state.recalls == [0.5, 0.75, 0.75, 0.25]
    state.records = [RECORD] * 3
    start = Model("vgg16", None, "pool", {})
    for select_best, kept in ((True, 2), (False, 3)):
        save_training(tmp_path / str(kept), start, state, origin="drawn", select_best=select_best)
        assert load_model(tmp_path / str(kept) / "model.pt").tensors["pool.centroids"] == kept
        summary = json.loads((tmp_path / str(kept) / "metrics.json").read_text())
        assert (summary["selected_epoch"], summary["origin"]) == (kept, "drawn")
    assert (tmp_path / "2" / "validation.csv").read_text() == (
        "epoch,recall@5\n0,0.5\n1,0.75\n2,0.75\n3,0.25\n"
    )


def test_without_an_epoch_nothing_is_best() -> None:
    head = Head(make_encoder(), "pool", NetVLAD(1, 1, with_bias=False))
    assert TrainingState.start(head, seed=0, momentum=0, weight_decay=0).best == {}


def test_neighbours_within_the_gap_are_neither_found_nor_counted() -> None:
    # Ten metres apart, radius 20: each has two positives on a side. 4 and 5 are held out.
    places = np.stack([np.arange(6) * 10.0, np.zeros(6)], axis=1)
    near = find_training_positives(places, radius_m=20)
    descriptors = rows(2, 80, 30, 10, 1, 0)
    assert held_out_recall(descriptors, near, num_held_out=2, gap=0) == 1
    assert held_out_recall(descriptors, near, num_held_out=2, gap=1) == 1
    with pytest.raises(ValueError, match="validation_gap = 2 images away"):
        held_out_recall(descriptors, near, num_held_out=2, gap=2)


def test_a_place_is_hidden_by_the_gap_and_then_wrong_ones_come_first() -> None:
    # Nine images ten metres apart; 8 is held out. Positives within 20 m: 6 and 7.
    places = np.stack([np.arange(9) * 10.0, np.zeros(9)], axis=1)
    near = find_training_positives(places, radius_m=20)
    descriptors = rows(1, 2, 3, 4, 5, 40, 50, 6, 0)  # 7 comes sixth, 6 last
    descriptors[5] = rows(90)[0]
    assert held_out_recall(descriptors, near, num_held_out=1, gap=0) == 0
    descriptors[7] = rows(0.5)[0]  # now first, but within a gap of 1
    assert held_out_recall(descriptors, near, num_held_out=1, gap=0) == 1
    assert held_out_recall(descriptors, near, num_held_out=1, gap=1) == 0
    descriptors[6] = rows(0.6)[0]
    assert held_out_recall(descriptors, near, num_held_out=1, gap=1) == 1


def test_the_gap_is_counted_within_a_recording_not_over_rows_of_two_cameras() -> None:
    # Two cameras alternate, five moments each; the last moment of both is held out. In rows the
    # left camera's moment 3 is 2 away from its moment 4, along its recording 1.
    moments = np.repeat(np.arange(5) * 10.0, 2)
    near = find_training_positives(np.stack([moments, 0 * moments], axis=1), radius_m=20)
    cameras = ["left", "right"] * 5
    descriptors = rows(1, 91, 2, 92, 60, 80, 3, 93, 0, 90)
    # Left 4 sees left 3, 0 and 1 before left 2 at 60 degrees, right 4 in turn; both are positives.
    assert held_out_recall(descriptors, near, num_held_out=2, gap=1, sequence=cameras) == 1
    with pytest.raises(ValueError, match="validation_gap = 2 images away"):
        only = csr_array(([20.0, 20.0], [4, 5], [0] * 9 + [1, 2]), shape=(10, 10))
        held_out_recall(descriptors, only, num_held_out=2, gap=2, sequence=cameras)
    # Of another recording even the next row is no neighbour: it is found, at 90 degrees apart.
    lone = csr_array(([0.0, 0.0], [9, 8], [0] * 9 + [1, 2]), shape=(10, 10))
    descriptors[[8, 9]] = rows(0, 0.5)
    assert held_out_recall(descriptors, lone, num_held_out=2, gap=1, sequence=cameras) == 1
    with pytest.raises(ValueError, match="validation_gap = 1 images away"):
        held_out_recall(descriptors, lone, num_held_out=2, gap=1)


def test_patience_ends_when_nothing_better_came() -> None:
    assert not is_stalled([0.5, 0.4], patience=2)
    assert is_stalled([0.5, 0.4, 0.5], patience=2)
    assert not is_stalled([0.5, 0.4, 0.6], patience=2)
    assert not is_stalled([0.5, 0.6, 0.4], patience=2)
    assert not is_stalled([], patience=1)
