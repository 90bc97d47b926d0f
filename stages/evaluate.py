"""Stage evaluate: recall with its uncertainty, the results of each query, and the calibration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.findings import list_copies, load_notes
from vpr.evaluation.acceptance import doubts_about
from vpr.evaluation.answers import (
    answer_curves,
    summarise_answers,
    summarise_map_question,
)
from vpr.evaluation.calibration import save_calibration
from vpr.evaluation.cross_fitting import Sample, calibrate
from vpr.evaluation.curves import ranking_curves
from vpr.evaluation.details import save_metrics
from vpr.evaluation.metrics import (
    Metrics,
    describe_reranking,
    summarise_errors,
    summarise_recall,
    summarise_same_way,
    summarise_without,
)
from vpr.evaluation.params import By, EvaluateParams
from vpr.evaluation.query_table import check_sizes, tabulate_queries
from vpr.evaluation.recall import first_correct_ranks, reached_depths
from vpr.places.index import load_index
from vpr.places.positives import load_positives, load_radius
from vpr.places.radius import metres_between
from vpr.reranking.verified_pairs import load_foreign, load_verified
from vpr.retrieval.predictions import load_predictions, load_retrieval
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params


def evaluate(
    *, retrieved: Path, predictions: Path, verified: Path, sequenced: Path, foreign: Path,
    positives: Path, database: Path, query: Path, radius: Path, notes: Path, recall: Path,
    details: Path, queries: Path, curves: Path, calibration: Path,
) -> None:  # fmt: skip
    """Compare the predictions with the truth.

    `retrieved` has the rankings before re-ranking, `predictions` those of each query by itself and
    `sequenced` those with its neighbours on the route. `verified` has no queries where re-ranking
    is off; `foreign` has the rankings of photos from elsewhere; `notes` are copied into the
    details. Written are `recall` with the main metrics, `details` with all others, `queries` with
    one row per query, the folder `curves` with one CSV file per curve, and `calibration`, from
    which answers about other photos are derived.
    """
    params = load_params("evaluate", EvaluateParams)
    rate, confidence, by = params.accept_false_rate, params.confidence, params.accept_by
    before, ranked = load_retrieval(retrieved), load_predictions(predictions)
    truth = load_positives(positives)
    indices = load_index(database), load_index(query)
    for rankings in (before, ranked):
        check_sizes(rankings, truth, *indices)
    known, true_places = (index.coordinates for index in indices)
    is_labelled = all(index.has_places for index in indices)
    depth = ranked.indices.shape[1]
    depths = reached_depths(params.recall_at, depth)
    ranks = first_correct_ranks(ranked.indices, truth)
    num_positives = np.diff(truth.indptr)
    pairs = load_verified(verified)
    evidence = pairs.of_predictions(ranked)
    doubts, places = doubts_about(by, ranked, evidence), known[ranked.indices]
    foreign_images, foreign_doubts = _load_foreign(foreign, by, depth)
    sample = Sample(
        by, doubts, places, true_places, ranks == 1,
        (num_positives == 0) & is_labelled,
        foreign_doubts[:, 0], load_radius(radius), pairs.candidates.shape[1],
    )  # fmt: skip
    fitted, held = calibrate(
        sample, rate=rate, confidence=confidence, block_length=params.block_length
    )
    summary = partial(
        summarise_recall, num_positives=num_positives, ns=depths, confidence=confidence,
        seed=params.seed, block_length=params.block_length, num_samples=params.num_samples,
    )  # fmt: skip
    found = load_notes(notes)
    drawn = answer_curves(sample, held)
    metrics = summarise_map_question(sample, fitted, rate=rate, confidence=confidence)
    if is_labelled:
        about_foreign = fitted.judge(foreign_doubts, known[foreign_images])
        metrics |= summary(ranks)
        metrics |= summarise_errors(metres_between(places[:, 0], true_places))
        metrics |= summarise_answers(
            sample, fitted, held, drawn, [answer.state for answer in about_foreign],
            confidence=confidence,
        )  # fmt: skip
        metrics |= describe_reranking(before, ranked, truth, evidence, ns=depths)
        metrics |= summarise_same_way(ranked.indices, truth, *indices, ns=depths)
        metrics |= summarise_without(ranks, list_copies(found), ns=depths)
        if load_param("sequence.method", str) != "lines" or load_param("sequence.length", int) > 1:
            along = summary(first_correct_ranks(load_predictions(sequenced).indices, truth))
            metrics |= _name_sequence_recalls(along)
    else:
        metrics["num_queries"] = len(ranks)
    table = tabulate_queries(
        ranked, truth, *indices, answers=fitted.judge(doubts, places), held_out=held.probability,
        evidence=evidence,
    )  # fmt: skip
    drawn |= ranking_curves(
        ranks, depth=depth, top1=places[:, 0], query=true_places, radii_m=params.radii_m
    )
    outs = (recall, details, queries, curves, calibration)
    with built_aside(*outs) as (recall, details, queries, curves, calibration):
        save_metrics(recall, details, metrics | {"notes": found})
        table.to_csv(queries, index=False)
        curves.mkdir()
        for name, curve in drawn.items():
            curve.to_csv(curves / f"{name}.csv", index=False)
        save_calibration(calibration, fitted)


def _name_sequence_recalls(summary: Metrics) -> Metrics:
    """Name the recalls of another protocol, which uses the queries' order."""
    recalls = {name: value for name, value in summary.items() if name.startswith("recall@")}
    return {f"sequence_{name}": value for name, value in recalls.items()}


def _load_foreign(
    folder: Path, by: By, depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Load the ranking of each photo from elsewhere, and the doubts about it, as many if any."""
    ranked = load_foreign(folder)
    if ranked is None:
        return np.empty((0, depth), np.int64), np.empty((0, depth))
    predictions, verified = ranked
    return predictions.indices, doubts_about(by, predictions, verified.of_predictions(predictions))


if __name__ == "__main__":
    run_stage(evaluate)
