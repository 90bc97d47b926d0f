"""Stage order: predictions re-ranked by inliers, then by sequences along the queries' route."""

from __future__ import annotations

import shutil
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np
from numpy.typing import NDArray

from vpr.places.index import load_index
from vpr.places.recordings import Recording, find_recordings
from vpr.reranking.params import RerankParams
from vpr.reranking.reranking import rerank as rerank_predictions
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.predictions import (
    Predictions,
    load_predictions,
    load_retrieval,
    save_predictions,
)
from vpr.retrieval.sequences import find_distances, rank_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def order(
    *, predictions: Path, verified: Path, database_descriptors: Path, query_descriptors: Path,
    database: Path, query: Path, reranked: Path, sequenced: Path,
) -> None:  # fmt: skip
    """Re-rank predictions by their inliers, then by their neighbours on the route.

    `predictions` is the retrieval; `verified` has no queries with method none. The query
    descriptors are in the order of the route; of the indices only the recordings are used.
    `reranked` has the rankings of each query by itself, `sequenced` those with its neighbours.
    """
    with built_aside(reranked, sequenced) as aside:
        rerank(predictions=predictions, verified=verified, reranked=aside[0])
        sequence(
            predictions=aside[0], database_descriptors=database_descriptors,
            query_descriptors=query_descriptors, database=database, query=query,
            sequenced=aside[1],
        )  # fmt: skip


def rerank(*, predictions: Path, verified: Path, reranked: Path) -> None:
    """Re-rank each query's first predictions by similarity and inliers; with method none, copy."""
    params = load_params("rerank", RerankParams)
    if params.method == "none":
        shutil.copyfile(predictions, reranked)
        return
    ranked = rerank_predictions(
        load_retrieval(predictions), load_verified(verified), top=params.top,
        half_inliers=params.half_inliers,
    )  # fmt: skip
    save_predictions(reranked, ranked)


def sequence(
    *, predictions: Path, database_descriptors: Path, query_descriptors: Path,
    database: Path, query: Path, sequenced: Path,
) -> None:  # fmt: skip
    """Rank by lines of similarity through both sides; with length 1, copy."""
    params = load_params("sequence", SequenceParams)
    if params.length == 1:
        shutil.copyfile(predictions, sequenced)
        return
    database_rows = load_descriptors(database_descriptors)
    query_rows = load_descriptors(query_descriptors)
    recordings = [_load_recordings(query, query_rows), _load_recordings(database, database_rows)]
    indices = rank_descriptors(
        database_rows, query_rows, *recordings, length=params.length,
        velocities=params.velocities, reach=params.contrast_reach,
        top_k=load_predictions(predictions).indices.shape[1],
    )  # fmt: skip
    distances = find_distances(database_rows, query_rows, indices)
    save_predictions(sequenced, Predictions(indices, distances, len(database_rows)))


def _load_recordings(index: Path, descriptors: NDArray[np.float32]) -> list[Recording]:
    images = load_index(index)
    if len(images.paths) != len(descriptors):
        raise ValueError(
            f"{index}: {len(images.paths)} images, but there are {len(descriptors)} descriptors"
        )
    return find_recordings(images.sequence, len(descriptors))


if __name__ == "__main__":
    run_stage(order)
