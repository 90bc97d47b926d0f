"""Files of descriptors, of predictions and of the submission are checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.unit_rows import unit_rows
from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.predictions import (
    Predictions,
    load_predictions,
    load_retrieval,
    save_predictions,
    save_submission,
)


def test_descriptors_survive_their_file_and_are_checked(tmp_path: Path) -> None:
    rows = unit_rows(5, 4, 0)
    file = tmp_path / "d.npy"
    save_descriptors(file, iter([rows[:2], rows[2:]]), num_images=5)
    np.testing.assert_array_equal(load_descriptors(file), rows)
    with pytest.raises(ValueError, match="expected 6 descriptors, got 5"):
        save_descriptors(file, iter([rows]), num_images=6)
    rows[3] *= 2
    save_descriptors(file, iter([rows]), num_images=5)
    with pytest.raises(ValueError, match="row 3: expected a unit vector"):
        load_descriptors(file)
    np.save(file, rows.astype(np.float64))
    with pytest.raises(ValueError, match="float64"):
        load_descriptors(file)


GOOD = Predictions(np.array([[1, 0], [2, 1]]), np.array([[0, 0.5], [0.1, 0.1]], np.float32), 3)


def test_predictions_survive_their_file(tmp_path: Path) -> None:
    save_predictions(tmp_path / "p.npz", GOOD)
    again = load_retrieval(tmp_path / "p.npz")
    np.testing.assert_array_equal(again.indices, GOOD.indices)
    np.testing.assert_array_equal(again.distances, GOOD.distances)
    assert again.num_database == 3


def test_a_reranked_order_need_not_ascend_but_is_a_ranking(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    swapped = Predictions(GOOD.indices[:, ::-1], GOOD.distances[:, ::-1], 3)
    save_predictions(file, swapped)
    np.testing.assert_array_equal(load_predictions(file).distances, [[0.5, 0], GOOD.distances[1]])
    with pytest.raises(ValueError, match="ascending"):
        load_retrieval(file)
    save_predictions(file, Predictions(GOOD.indices, -GOOD.distances, 3))
    with pytest.raises(ValueError, match="distances of unit vectors, 0 to 2"):
        load_predictions(file)


@pytest.mark.parametrize(
    ("indices", "distances", "words"),
    [
        ([[1, -1], [2, 1]], GOOD.distances, "query 0: index -1"),
        ([[1, 0], [3, 1]], GOOD.distances, "query 1: index 3"),
        ([[1, 0], [2, 2]], GOOD.distances, "query 1: the ranking has a database image twice"),
        (GOOD.indices, [[0.5, 0], [0, 1]], "ascending"),
        (GOOD.indices, [[0.5], [0]], "expected distances"),
    ],
)
def test_what_is_no_ranking_is_refused(
    tmp_path: Path, indices: list, distances: list, words: str
) -> None:
    file = tmp_path / "p.npz"
    bad = Predictions(np.array(indices), np.array(distances, np.float32), 3)
    save_predictions(file, bad)
    with pytest.raises(ValueError, match=words):
        load_retrieval(file)


def test_submission_has_the_challenges_form(tmp_path: Path) -> None:
    save_submission(tmp_path / "s.json", GOOD)
    text = (tmp_path / "s.json").read_text()
    assert json.loads(text) == {
        "Query": [{"id": 0, "positive": [1, 0]}, {"id": 1, "positive": [2, 1]}]
    }
    assert text.startswith('{\n    "Query": [\n        {\n            "id": 0,')


def test_a_bad_submission_is_not_written(tmp_path: Path) -> None:
    bad = Predictions(np.array([[0, 0]]), np.zeros((1, 2), np.float32), 3)
    with pytest.raises(ValueError, match="database image twice"):
        save_submission(tmp_path / "s.json", bad)
    assert not (tmp_path / "s.json").exists()
