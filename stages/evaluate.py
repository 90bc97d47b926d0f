"""Stage evaluate: recall with its uncertainty, and the results of each query."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np

from vpr.datasets.findings import list_copies, load_notes
from vpr.evaluation.acceptance import decide, doubts_about
from vpr.evaluation.curves import save_curves
from vpr.evaluation.details import save_metrics
from vpr.evaluation.metrics import (
    describe_reranking,
    name_sequence_metrics,
    summarise_acceptance,
    summarise_errors,
    summarise_recall,
    summarise_same_way,
    summarise_unlabelled,
    summarise_without,
)
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.query_table import errors_in_metres, tabulate_queries
from vpr.evaluation.recall import first_correct_ranks, reached_depths
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.predictions import load_predictions, load_retrieval
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params


def evaluate(
    *, retrieved: Path, predictions: Path, verified: Path, sequenced: Path, positives: Path,
    database: Path, query: Path, notes: Path, recall: Path, details: Path, queries: Path,
    curves: Path,
) -> None:  # fmt: skip
    """Compare the predictions with the truth.

    `retrieved` has the rankings before re-ranking, `predictions` those of each query by itself and
    `sequenced` those with its neighbours on the route. `verified` has no queries where re-ranking
    is off; `notes` are copied into the details. Written are `recall` with the main metrics,
    `details` with all others, `queries` with one row per query and the folder `curves` with one CSV
    file per curve.
    """
    params = load_params("evaluate", EvaluateParams)
    ranked, truth = load_predictions(predictions), load_positives(positives)
    indices = load_index(database), load_index(query)
    ranks, depth = first_correct_ranks(ranked.indices, truth), ranked.indices.shape[1]
    num_positives, depths = np.diff(truth.indptr), reached_depths(params.recall_at, depth)
    is_labelled = all(index.has_places for index in indices)
    metres = errors_in_metres(ranked.indices, *indices)[:, 0]
    top1 = indices[0].coordinates[ranked.indices[:, 0]]
    pairs, correct = load_verified(verified), ranks == 1
    evidence = pairs.of_first(ranked)
    decided = decide(
        doubts_about(params.accept_by, ranked, evidence), correct,
        (num_positives == 0) & is_labelled,
        by=params.accept_by, num_candidates=pairs.candidates.shape[1],
        rate=params.accept_false_rate, confidence=params.confidence,
    )  # fmt: skip
    summary = partial(
        summarise_recall, num_positives=num_positives, ns=depths, confidence=params.confidence,
        seed=params.seed, block_length=params.block_length, num_samples=params.num_samples,
    )  # fmt: skip
    found = load_notes(notes)
    if is_labelled:
        metrics = summary(ranks) | summarise_errors(metres) | summarise_acceptance(decided, correct)
        metrics |= describe_reranking(load_retrieval(retrieved), ranked, truth, evidence, ns=depths)
        metrics |= summarise_same_way(ranked.indices, truth, *indices, ns=depths)
        metrics |= summarise_without(ranks, list_copies(found), ns=depths)
        if load_param("sequence.length", int) > 1:
            along = first_correct_ranks(load_predictions(sequenced).indices, truth)
            metrics |= name_sequence_metrics(summary(along))
    else:
        metrics = summarise_unlabelled(decided)
    table = tabulate_queries(ranked, truth, *indices, accepted=decided.accepted, evidence=evidence)
    with built_aside(recall, details, queries, curves) as aside:
        save_metrics(aside[0], aside[1], metrics | {"notes": found})
        table.to_csv(aside[2], index=False)
        save_curves(aside[3], ranks=ranks, depth=depth, top1=top1, query=indices[1].coordinates,
                    radii_m=params.radii_m, precision_recall=decided.curve)  # fmt: skip


if __name__ == "__main__":
    run_stage(evaluate)
