"""The ranking stays exact where the database repeats itself more often than spare candidates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from vpr.retrieval import descriptors as descriptors_room
from vpr.retrieval.ranking import SPARE, rank_database

DIM = 8192  # of the challenge's NetVLAD: rounding of squared distances grows with it
ROW_BYTES = 4 * DIM


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def standing_camera(noise: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three places of 40 nearly equal images each, and three queries beside them, 8 times."""
    rng = np.random.default_rng(0)
    places = unit(rng.normal(size=(3, DIM)))
    steps = noise * rng.normal(size=(120, DIM)) / np.sqrt(DIM)
    beside = places + 1e-3 * rng.normal(size=(3, DIM)) / np.sqrt(DIM)
    return unit(np.repeat(places, 40, axis=0) + steps), unit(np.tile(beside, (8, 1)))


def by_definition(
    database: NDArray[np.float32], query: NDArray[np.float32], top_k: int
) -> NDArray[np.int64]:
    rows = []
    for one in query.astype(np.float64):
        away = np.sqrt(((database - one) ** 2).sum(axis=1)).astype(np.float32)
        rows.append(np.lexsort((np.arange(len(database)), away))[:top_k])
    return np.stack(rows)


@pytest.mark.parametrize("rows_in_block", [10_000, 37])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-4])
def test_near_duplicates_beyond_the_spare_candidates_are_ranked_exactly(
    monkeypatch: pytest.MonkeyPatch, noise: float, rows_in_block: int
) -> None:
    monkeypatch.setattr(descriptors_room, "BLOCK_BYTES", rows_in_block * ROW_BYTES)
    database, query = standing_camera(noise)
    assert 5 + SPARE < 40
    indices, _ = rank_database(database, query, top_k=5)
    expected = np.tile(by_definition(database, query[:3], 5), (8, 1))
    np.testing.assert_array_equal(indices, expected)


def test_the_order_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    database, query = unit(rng.normal(size=(60, 32))), unit(rng.normal(size=(9, 32)))
    neighbours = NearestNeighbors(n_neighbors=60, algorithm="brute").fit(database.astype(float))
    away, order = neighbours.kneighbors(query.astype(float))
    indices, distances = rank_database(database, query, top_k=60)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, away, atol=1e-6)


def test_descriptors_of_two_models_are_refused() -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(ValueError, match="have 8 dimensions, query descriptors 4"):
        rank_database(unit(rng.normal(size=(5, 8))), unit(rng.normal(size=(2, 4))), top_k=1)
