"""A database ranked in shards gives the bits of one ranked whole, ties across borders included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vpr.retrieval.ranking import make_ranker, merge_rankings, rank_database

DIM, TOP_K = 64, 20


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def images_that_stand_still() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """12 places of 25 equal or nearly equal images each, and queries at and between them."""
    rng = np.random.default_rng(0)
    places = unit(rng.normal(size=(12, DIM)))
    steps = rng.choice([0, 1e-6, 1e-4], size=(300, 1)) * rng.normal(size=(300, DIM))
    between = unit(places + 0.3 * rng.normal(size=(12, DIM)))
    return unit(np.repeat(places, 25, axis=0) + steps), np.concatenate([places, between])


@pytest.mark.parametrize("rows", [7, 40, 299, 300])
def test_merged_shards_are_the_ranking_of_the_whole_to_the_bit(rows: int) -> None:
    database, query = images_that_stand_still()
    whole = rank_database(database, query, top_k=TOP_K)
    ties = whole[1][:, 1:] == whole[1][:, :-1]
    assert ties.sum() > 50
    shards = ((start, database[start : start + rows]) for start in range(0, 300, rows))
    merged = merge_rankings(make_ranker(query, TOP_K)(shards), TOP_K)
    np.testing.assert_array_equal(merged[0], whole[0])
    assert merged[1].tobytes() == whole[1].tobytes()
    assert merged[0].dtype == whole[0].dtype
