"""Recall by hand, and intervals that say how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.evaluation.calibration import Judgement
from vpr.evaluation.curves import ranking_curves
from vpr.evaluation.details import list_recalls
from vpr.evaluation.metrics import (
    describe_reranking,
    summarise_errors,
    summarise_recall,
    summarise_without,
)
from vpr.evaluation.query_table import check_sizes, tabulate_queries
from vpr.evaluation.recall import NEVER, first_correct_ranks, reached_depths, recall_at
from vpr.evaluation.uncertainty import (
    block_bootstrap_interval,
    usable_block_length,
    wilson_interval,
)
from vpr.places.index import ImageIndex
from vpr.places.radius import find_positives
from vpr.reranking.verified_pairs import Evidence
from vpr.retrieval.predictions import Predictions

# Query 0 finds its positive (at 0 m) first, query 1 third, query 2 never, query 3 has none.
POSITIVES = csr_array(
    (np.array([0.0, 4.0, 1.0]), np.array([2, 0, 4]), np.array([0, 1, 2, 3, 3])), shape=(4, 5)
)
RANKING = np.array([[2, 1, 0], [3, 1, 0], [0, 1, 2], [0, 1, 2]])


def test_recall_counts_queries_not_positives_and_keeps_the_unanswerable() -> None:
    assert first_correct_ranks(RANKING, POSITIVES).tolist() == [1, 3, NEVER, NEVER]
    assert recall_at([1, 2, 3], RANKING, POSITIVES) == {1: 0.25, 2: 0.25, 3: 0.5}


def test_recall_equals_a_plain_loop_on_random_data() -> None:
    rng = np.random.default_rng(0)
    truth = [set(rng.permutation(30)[: rng.integers(0, 4)].tolist()) for _ in range(50)]
    ranking = np.stack([rng.permutation(30)[:10] for _ in range(50)])
    indptr = np.cumsum([0, *map(len, truth)])
    indices = np.array([i for row in truth for i in sorted(row)])
    positives = csr_array((np.zeros(len(indices)), indices, indptr), shape=(50, 30))
    for n, recall in recall_at([1, 5, 10], ranking, positives).items():
        hits = [
            bool(set(row[:n].tolist()) & near) for row, near in zip(ranking, truth, strict=True)
        ]
        assert recall == sum(hits) / 50


def test_recall_equals_brute_force_with_edges_zeros_and_missing_candidates() -> None:
    rng = np.random.default_rng(1)
    database, query = (rng.integers(0, 12, (n, 2)) for n in (40, 60))
    query[:5] += 100  # near nothing
    positives = find_positives(database.astype(float), query.astype(float), radius_m=5)
    ranking = np.stack([rng.permutation(40)[:8] for _ in range(60)])
    ranking[rng.random(ranking.shape) < 0.3] = -1  # faiss: no candidate; not the last image
    squares = [[(x - a) ** 2 + (y - b) ** 2 for a, b in database] for x, y in query.tolist()]
    assert {0, 25} <= {square for row in squares for square in row}  # 0 m, and 5 m exactly
    for n, recall in recall_at([1, 4, 8], ranking, positives).items():
        found = 0
        for row, near in zip(ranking.tolist(), squares, strict=True):
            found += any(index >= 0 and near[index] <= 25 for index in row[:n])
        assert recall == found / 60


def test_every_photo_of_gardens_point_has_its_exact_match_at_0_m(real_data: Path) -> None:
    for name in ("day.mat", "night.mat"):
        truth = parse_dbstruct(real_data / "gardens_point" / name)
        places = truth.database.coordinates, truth.query.coordinates
        positives = find_positives(*places, radius_m=truth.radius_m)
        assert np.diff(positives.indptr).tolist() == [3, 4, *[5] * 196, 4, 3]
        assert np.count_nonzero(positives.data == 0) == 200
        exact = np.arange(200)[:, None]
        assert recall_at([1], exact, positives) == {1: 1.0}
        assert recall_at([1], np.full((200, 1), 100), positives) == {1: 5 / 200}


def test_recall_deeper_than_the_ranking_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[4\]: the ranking has a depth of 3"):
        recall_at([1, 4], RANKING, POSITIVES)
    with pytest.raises(ValueError, match="predictions are of 3 queries, positives of 4"):
        recall_at([1], RANKING[:3], POSITIVES)


def test_both_denominators_are_reported() -> None:
    ranks = first_correct_ranks(RANKING, POSITIVES)
    metrics = summarise_recall(
        ranks, np.array([1, 1, 1, 0]), ns=[1, 3], block_length=2, num_samples=200,
        confidence=0.95, seed=0,
    )  # fmt: skip
    assert metrics["recall@3"] == 0.5
    assert metrics["recall@3_answerable"] == pytest.approx(2 / 3)
    assert metrics["num_queries_without_positives"] == 1
    assert summarise_errors(np.array([0, 9, 9, 99.0]))["top1_metres_median"] == 9


def test_recalls_are_listed_by_depth_whatever_depths_a_file_has() -> None:
    found = list_recalls(
        {
            "recall@20": 0.9, "recall@20_block_bootstrap": [0.8, 1.0], "recall@5": 0.5,
            "recall@5_wilson_if_independent": [0.4, 0.6], "recall@5_answerable": 0.7,
            "recall@5_before_reranking": 0.3, "sequence_recall@5": 0.6, "index_recall@1": 1.0,
            "num_queries": 10,
        }
    )  # fmt: skip
    assert [(one.name, one.n, one.value, one.is_of_sequences) for one in found] == [
        ("recall@5", 5, 0.5, False),
        ("recall@20", 20, 0.9, False),
        ("sequence_recall@5", 5, 0.6, True),
    ]
    assert found[0].intervals == {"wilson_if_independent": (0.4, 0.6)}
    assert found[1].intervals == {"block_bootstrap": (0.8, 1.0)}
    assert list_recalls({"num_queries": 10}) == []


def test_the_table_has_a_row_per_query() -> None:
    database = ImageIndex(list("abcde"), np.array([[0.0, 0], [3, 4], [6, 8], [0, 1], [9, 9]]))
    query = ImageIndex(list("wxyz"), np.zeros((4, 2)))
    distances = np.tile(np.array([0.2, 0.4, 0.8], np.float32), (4, 1))
    answers = [
        Judgement("known", 0.9, (0.8, 1.0), np.array([3.0, 4.0]), np.ones(1), 2.0),
        Judgement("unsure", 0.5, (0.2, 0.8), np.zeros(2), np.ones(1), None),
        *[Judgement(None, None, None, np.zeros(2), np.ones(1), None)] * 2,
    ]
    table = tabulate_queries(
        Predictions(RANKING, distances, 5),
        POSITIVES,
        database,
        query,
        answers=answers,
        held_out=np.array([0.7, 0.5, np.nan, np.nan]),
        evidence=None,
    )
    assert ",".join(table.columns) == (
        "index,path,first_correct_rank,top1_path,top1_metres,top1_distance,distance_ratio,"
        "num_positives,accepted,state,probability,held_out_probability,position_metres,"
        "circle_metres"
    )
    assert table["top1_path"].tolist() == ["c", "d", "a", "a"]
    assert table["top1_metres"].tolist() == [10, 1, 0, 0]
    assert table["distance_ratio"].tolist() == [0.5] * 4
    assert table["num_positives"].tolist() == [1, 1, 1, 0]
    assert table["accepted"].tolist() == [True, False, None, None]
    rows = table.to_csv(index=False).split("\n")
    assert rows[1].endswith(",True,known,0.9,0.7,5.0,2.0")
    assert rows[3].startswith("2,y,,a,")  # never right: empty
    assert rows[3].endswith(",,,,,0.0,")  # nor calibrated


def test_after_reranking_the_ratio_is_to_the_nearest_other_prediction() -> None:
    distances = np.array([[0.4, 0.8, 0.2], [0.2, 0.8, 0.4], [0, 0, 0], [0.1, 0, 0]], np.float32)
    database, query = (
        ImageIndex(list("abcde"), np.zeros((5, 2))),
        ImageIndex(list("wxyz"), np.zeros((4, 2))),
    )
    table = tabulate_queries(
        Predictions(RANKING, distances, 5),
        POSITIVES,
        database,
        query,
        answers=[Judgement(None, None, None, np.zeros(2), np.ones(1), None)] * 4,
        held_out=np.full(4, np.nan),
        evidence=Evidence(np.array([[9], [0], [3], [1]]), np.array([[-9.5], [0], [-3], [-1]])),
    )
    assert table["top1_distance"].tolist() == [0.4, 0.2, 0, 0.1]
    assert table["distance_ratio"].tolist() == [2, 0.5, 1, 1]
    assert table["top1_inliers"].tolist() == [9, 0, 3, 1]
    assert table["top1_log10_nfa"].tolist() == [-9.5, 0, -3, -1]


def test_recall_before_reranking_stands_beside_the_number_of_changes() -> None:
    before = RANKING[:, [1, 0, 2]]
    distances = np.tile(np.array([0.1, 0.2, 0.3], np.float32), (4, 1))
    pair = [Predictions(indices, distances, 5) for indices in (before, RANKING)]
    evidence = Evidence(np.array([[9], [0], [0], [0]]), np.array([[-9.5], [0], [0], [0]]))
    found = describe_reranking(*pair, POSITIVES, evidence, ns=[1, 3])
    assert found == {
        "recall@1_before_reranking": 0.0,
        "recall@3_before_reranking": 0.5,
        "num_top1_reranked": 4,
        "average_precision_before_reranking": 0.0,
        # The only right one, of three with a positive, has the most inliers.
        "average_precision_by_inliers": pytest.approx(1 / 3),
    }


def test_depths_that_no_ranking_reaches_are_an_error() -> None:
    assert reached_depths([1, 5, 30], 5) == [1, 5]
    with pytest.raises(ValueError, match=r"recall_at = \[30\]: search.top_k = 5 reaches none"):
        reached_depths([30], 5)


def test_predictions_of_another_database_are_refused() -> None:
    side = ImageIndex(list("abcd"), np.zeros((4, 2)))
    ranked = Predictions(RANKING, np.zeros((4, 3), np.float32), 6)
    with pytest.raises(ValueError, match=r"predictions have \(4, 6\), positives \(4, 5\)"):
        check_sizes(ranked, POSITIVES, side, side)


def test_curves_by_hand() -> None:
    ranks = first_correct_ranks(RANKING, POSITIVES)
    top1 = np.array([[7.0, 0], [0, 0], [0, 7], [30, 0]])
    curves = ranking_curves(ranks, depth=3, top1=top1, query=0 * top1, radii_m=[5, 7, 30])
    assert curves["recall"].to_numpy().tolist() == [[1, 0.25], [2, 0.25], [3, 0.5]]
    assert curves["errors"].to_numpy().tolist() == [[0, 0.25], [7, 0.75], [30, 1]]
    assert curves["radius"].to_numpy().tolist() == [[5, 0.25], [7, 0.75], [30, 1]]


def test_wilson_interval_of_the_published_baseline() -> None:
    hits = np.arange(280) < 107
    low, high = wilson_interval(hits, confidence=0.95)
    assert (100 * low, 100 * high) == pytest.approx((32.7, 44.0), abs=0.05)


def interval(values: np.ndarray, block_length: int) -> tuple[float, float]:
    return block_bootstrap_interval(
        values, block_length=block_length, num_samples=500, confidence=0.95, seed=0
    )


def test_the_block_bootstrap_covers_correlated_hits_where_wilson_does_not() -> None:
    rng = np.random.default_rng(0)
    truth, runs, covered = 0.4, 400, np.zeros(2)
    for _ in range(runs):
        change = rng.random(280) < 0.4  # lag-1 autocorrelation 0.6, as of published predictions
        fresh = rng.random(280) < truth
        hits = fresh[np.maximum.accumulate(np.where(change, np.arange(280), 0))]
        bounds = wilson_interval(hits, confidence=0.95), interval(hits, 10)
        covered += [low <= truth <= high for low, high in bounds]
    wilson, block = covered / runs  # of 95 % intervals; 400 runs tell it to 0.015
    assert wilson < 0.72
    assert block > 0.88


def test_blocks_of_one_give_the_usual_bootstrap_and_long_ones_are_cut() -> None:
    hits = np.arange(200) % 2 == 0
    low, high = interval(hits, 1)
    assert (low, high) == pytest.approx((0.43, 0.57), abs=0.02)
    assert interval(hits, 1000) == (0.5, 0.5)
    assert [usable_block_length(10, count) for count in (2, 8, 24, 30, 280)] == [1, 2, 8, 10, 10]
    assert interval(np.ones(7, dtype=bool), 3) == (1.0, 1.0)


def test_recall_without_copies_leaves_their_queries_out() -> None:
    ranks = np.array([1, 1, 3, NEVER])
    assert summarise_without(ranks, [0], ns=[1, 5]) == {
        "without_copies_recall@1": 1 / 3, "without_copies_recall@5": 2 / 3
    }  # fmt: skip
    assert summarise_without(ranks, [], ns=[1]) == summarise_without(ranks, [0, 1, 2, 3], ns=[1])
