"""Positives lie within the radius, the edge included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.places.positives import load_positives, save_positives
from vpr.places.radius import find_positives, find_training_positives
from vpr.training.mining import find_anchors


def stored(found, row: int) -> dict[int, float]:  # noqa: ANN001
    span = slice(found.indptr[row], found.indptr[row + 1])
    return dict(zip(found.indices[span].tolist(), found.data[span].tolist(), strict=True))


DATABASE = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [6.0, 8.0]])


def test_edge_and_zero_distance_are_stored() -> None:
    found = find_positives(DATABASE, np.array([[0.0, 0.0], [100.0, 0.0]]), radius_m=5)
    assert stored(found, 0) == {0: 0.0, 1: 5.0, 2: 0.0}
    assert stored(found, 1) == {}


def test_an_image_is_no_training_positive_of_itself_but_its_twin_is() -> None:
    found = find_training_positives(DATABASE, radius_m=5)
    assert stored(found, 0) == {1: 5.0, 2: 0.0}
    assert stored(found, 3) == {1: 5.0}


def test_same_as_a_plain_loop_far_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    database = rng.uniform(0, 100, (40, 2)) + np.array([389_000, 5_818_000])
    query = rng.uniform(0, 100, (30, 2)) + np.array([389_000, 5_818_000])
    found = find_positives(database, query, radius_m=20)
    for row, place in enumerate(query):
        near = {i for i, other in enumerate(database) if np.hypot(*(other - place)) <= 20}
        assert set(stored(found, row)) == near


def test_positives_survive_the_file_with_their_zeros(tmp_path: Path) -> None:
    found = find_positives(DATABASE, DATABASE, radius_m=5)
    save_positives(tmp_path / "p.npz", found)
    again = load_positives(tmp_path / "p.npz")
    assert again.shape == (4, 4)
    assert [stored(again, row) for row in range(4)] == [stored(found, row) for row in range(4)]


def test_damaged_files_of_positives_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    file.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"p\.npz"):
        load_positives(file)
    with file.open("wb") as out:
        np.savez(out, indptr=[0, 2], indices=[0, 7], data=[1.0, 1.0], shape=[1, 3])
    with pytest.raises(ValueError, match=r"p\.npz: not a sparse matrix"):
        load_positives(file)


@pytest.mark.parametrize(
    ("name", "num_database", "num_query", "radius_m"),
    [
        ("berlin/berlin.mat", 314, 280, 50),
        ("oxford/oxford.mat", 213, 251, 45),
        ("nordland/nordland.mat", 1000, 467, 5),
    ],
)
def test_real_files_have_their_published_counts(
    real_data: Path, name: str, num_database: int, num_query: int, radius_m: float
) -> None:
    truth = parse_dbstruct(real_data / name)
    assert len(truth.database.paths) == num_database
    assert len(truth.query.paths) == num_query
    assert truth.radius_m == radius_m


def test_berlin_has_its_known_positives(real_data: Path) -> None:
    truth = parse_dbstruct(real_data / "berlin/berlin.mat")
    places = truth.database.coordinates, truth.query.coordinates
    counts = np.diff(find_positives(*places, radius_m=50).indptr)
    assert (counts.min(), counts.max()) == (1, 14)
    assert counts.mean() == pytest.approx(6.54, abs=0.005)
    for radius, empty in ((25, 114), (10, 220)):
        assert np.sum(np.diff(find_positives(*places, radius_m=radius).indptr) == 0) == empty


def test_nordland_has_133_pairs_exactly_on_the_radius(real_data: Path) -> None:
    truth = parse_dbstruct(real_data / "nordland/nordland.mat")
    found = find_positives(truth.database.coordinates, truth.query.coordinates, radius_m=5)
    assert np.sum(found.data == 5) == 133
    assert find_training_positives(truth.database.coordinates, radius_m=5).nnz == 0


def test_finetune_explains_that_nordland_has_nothing_to_train_on(real_data: Path) -> None:
    truth = parse_dbstruct(real_data / "nordland/nordland.mat")
    found = find_training_positives(truth.database.coordinates, radius_m=5)
    with pytest.raises(ValueError, match="none of the 1000 database images has another one"):
        find_anchors(found)
