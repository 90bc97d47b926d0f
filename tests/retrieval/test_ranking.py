"""The ranking is exact: in blocks and shards, beyond memory, and where the database repeats."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from tests.support.repositories import ROOT
from tests.support.unit_rows import as_unit, unit_rows
from vpr.retrieval import descriptors as descriptors_room
from vpr.retrieval.ranking import SPARE, make_ranker, merge_rankings, rank_database

DIM = 8192  # of the challenge's NetVLAD: rounding of squared distances grows with it
ROW_BYTES = 4 * DIM


def by_definition(
    database: NDArray[np.float32], query: NDArray[np.float32], top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Every distance in float64, sorted by distance and index."""
    ranked = []
    for one in query.astype(np.float64):
        away = np.sqrt(((database - one) ** 2).sum(axis=1)).astype(np.float32)
        ranked.append(sorted(zip(away.tolist(), range(len(database)), strict=True))[:top_k])
    distances, indices = np.moveaxis(np.array(ranked), 2, 0)
    return indices.astype(np.int64), distances.astype(np.float32)


@pytest.mark.parametrize("block_bytes", [2**26, 700])
def test_search_equals_brute_force_in_one_block_and_in_many(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(descriptors_room, "BLOCK_BYTES", block_bytes)
    database, query = unit_rows(90, 16, 0), unit_rows(25, 16, 1)
    indices, distances = rank_database(database, query, top_k=7)
    expected = by_definition(database, query, 7)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(distances, expected[1], atol=1e-6)
    assert indices.dtype == np.int64
    assert distances.dtype == np.float32


def test_equal_distances_go_by_lower_index_also_across_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(descriptors_room, "BLOCK_BYTES", 3 * 16 * 4)
    one = unit_rows(1, 16, 0)
    database = np.concatenate([unit_rows(4, 16, 1), np.repeat(one, 6, axis=0)])
    indices, distances = rank_database(database, one, top_k=4)
    assert indices.tolist() == [[4, 5, 6, 7]]
    assert distances.tolist() == [[0, 0, 0, 0]]


def test_more_predictions_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"search.top_k = 6, but the database has only 5"):
        rank_database(unit_rows(5, 4, 0), unit_rows(2, 4, 1), top_k=6)


def standing_camera(noise: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three places of 40 nearly equal images each, and three queries beside them, 8 times."""
    rng = np.random.default_rng(0)
    places = as_unit(rng.normal(size=(3, DIM)))
    steps = noise * rng.normal(size=(120, DIM)) / np.sqrt(DIM)
    beside = places + 1e-3 * rng.normal(size=(3, DIM)) / np.sqrt(DIM)
    return as_unit(np.repeat(places, 40, axis=0) + steps), as_unit(np.tile(beside, (8, 1)))


@pytest.mark.parametrize("rows_in_block", [10_000, 37])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-4])
def test_near_duplicates_beyond_the_spare_candidates_are_ranked_exactly(
    monkeypatch: pytest.MonkeyPatch, noise: float, rows_in_block: int
) -> None:
    monkeypatch.setattr(descriptors_room, "BLOCK_BYTES", rows_in_block * ROW_BYTES)
    database, query = standing_camera(noise)
    assert 5 + SPARE < 40
    indices, _ = rank_database(database, query, top_k=5)
    expected = np.tile(by_definition(database, query[:3], 5)[0], (8, 1))
    np.testing.assert_array_equal(indices, expected)


def test_the_order_agrees_with_scikit_learn() -> None:
    database, query = unit_rows(60, 32, 1), unit_rows(9, 32, 2)
    neighbours = NearestNeighbors(n_neighbors=60, algorithm="brute").fit(database.astype(float))
    away, order = neighbours.kneighbors(query.astype(float))
    indices, distances = rank_database(database, query, top_k=60)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, away, atol=1e-6)


def test_descriptors_of_two_models_are_refused() -> None:
    with pytest.raises(ValueError, match="have 8 dimensions, query descriptors 4"):
        rank_database(unit_rows(5, 8, 0), unit_rows(2, 4, 1), top_k=1)


def images_that_stand_still() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """12 places of 25 equal or nearly equal images each, and queries at and between them."""
    rng = np.random.default_rng(0)
    places = as_unit(rng.normal(size=(12, 64)))
    steps = rng.choice([0, 1e-6, 1e-4], size=(300, 1)) * rng.normal(size=(300, 64))
    between = as_unit(places + 0.3 * rng.normal(size=(12, 64)))
    return as_unit(np.repeat(places, 25, axis=0) + steps), np.concatenate([places, between])


@pytest.mark.parametrize("rows", [7, 40, 299, 300])
def test_merged_shards_are_the_ranking_of_the_whole_to_the_bit(rows: int) -> None:
    database, query = images_that_stand_still()
    whole = rank_database(database, query, top_k=20)
    ties = whole[1][:, 1:] == whole[1][:, :-1]
    assert ties.sum() > 50
    shards = ((start, database[start : start + rows]) for start in range(0, 300, rows))
    merged = merge_rankings(make_ranker(query, 20)(shards), 20)
    np.testing.assert_array_equal(merged[0], whole[0])
    assert merged[1].tobytes() == whole[1].tobytes()
    assert merged[0].dtype == whole[0].dtype


BLOCK, ROOM = 20 * 2**20, 40 * 2**20  # bytes read at once, and of data that the search may take
NUM_DATABASE, DIM_IN_MEMORY = 9_000, 2048  # 74 MB

LIMITED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from vpr.retrieval import descriptors
from vpr.retrieval.ranking import rank_database
descriptors.BLOCK_BYTES = int(sys.argv[3])
load_descriptors = descriptors.load_descriptors
folder = Path(sys.argv[1])
database, query = (load_descriptors(folder / f"{side}.npy") for side in ("database", "query"))
rank_database(database[:100], query, top_k=20)  # starts the threads, whose stacks are data
status = Path("/proc/self/status").read_text()
limit = 1024 * int(re.search(r"VmData:\\s+(\\d+)", status)[1]) + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.array(database)
    sys.exit("the limit holds the whole database")
except MemoryError:
    pass
indices, distances = rank_database(database, query, top_k=20)
np.savez(folder / "ranked.npz", indices=indices, distances=distances)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of data are Linux's")
def test_a_database_larger_than_memory_gives_the_same_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sides = []
    for side, count in (("database", NUM_DATABASE), ("query", 40)):
        rows = rng.standard_normal((count, DIM_IN_MEMORY), dtype=np.float32)
        sides.append(as_unit(rows))
        np.save(tmp_path / f"{side}.npy", sides[-1])
    assert sides[0].nbytes > ROOM
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(ROOM), str(BLOCK)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ranked = np.load(tmp_path / "ranked.npz")
    indices, distances = rank_database(*sides, top_k=20)
    np.testing.assert_array_equal(ranked["indices"], indices)
    np.testing.assert_array_equal(ranked["distances"], distances)
    exact = np.linalg.norm(sides[0].astype(np.float64) - sides[1][0], axis=1)
    assert indices[0].tolist() == np.argsort(exact)[:20].tolist()
