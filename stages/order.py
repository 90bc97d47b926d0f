"""Stage order: predictions re-ranked by inliers, then by sequences along the queries' route."""

from __future__ import annotations

import shutil
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np
from numpy.typing import NDArray

from vpr.places.index import ImageIndex, Recording, find_recordings, load_index, places_on_route
from vpr.places.positives import load_radius
from vpr.reranking.params import RerankParams
from vpr.reranking.reranking import rerank as rerank_predictions
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.following import Follower, save_estimates
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
    database: Path, query: Path, radius: Path, reranked: Path, sequenced: Path, estimates: Path,
) -> None:  # fmt: skip
    """Re-rank predictions by their inliers, then by their neighbours on the route.

    `predictions` is the retrieval; `verified` has no queries with method none. The query
    descriptors are in the order of the route; of the queries' index only the recordings and the
    odometry are used. `reranked` has the rankings of each query by itself, `sequenced` those with
    its neighbours; `estimates` has a row per query where a drive is followed, else none.
    """
    with built_aside(reranked, sequenced, estimates) as aside:
        rerank(predictions=predictions, verified=verified, reranked=aside[0])
        sequence(
            predictions=aside[0], verified=verified, database_descriptors=database_descriptors,
            query_descriptors=query_descriptors, database=database, query=query, radius=radius,
            sequenced=aside[1], estimates=aside[2],
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
    *, predictions: Path, verified: Path, database_descriptors: Path, query_descriptors: Path,
    database: Path, query: Path, radius: Path, sequenced: Path, estimates: Path,
) -> None:  # fmt: skip
    """Rank by lines of similarity through both sides, or by where the drive is; or copy."""
    params = load_params("sequence", SequenceParams)
    save_estimates(estimates, [])
    if params.method == "lines" and params.length == 1:
        shutil.copyfile(predictions, sequenced)
        return
    database_rows = load_descriptors(database_descriptors)
    query_rows = load_descriptors(query_descriptors)
    places, database_recordings = _load_side(database, database_rows)
    drive, query_recordings = _load_side(query, query_rows)
    ranked = load_predictions(predictions).indices
    if params.method == "lines":
        indices = rank_descriptors(
            database_rows, query_rows, query_recordings, database_recordings,
            length=params.length, velocities=params.velocities, reach=params.contrast_reach,
            top_k=ranked.shape[1],
        )  # fmt: skip
    else:
        positions, radius_m = places.coordinates, load_radius(radius)
        if not places.has_places:  # then images count as metres, and a place is three of them
            numbers = places_on_route(database_recordings, apart=len(places.paths))
            positions, radius_m = numbers[:, None] * np.array([1.0, 0.0]), 1.0
        follower = Follower(
            database_rows, positions, database_recordings, radius_m=radius_m, step_m=params.step_m
        )  # fmt: skip
        pairs = load_verified(verified)
        beliefs = follower.follow_all(
            query_rows, ranked, query_recordings, drive.odometry,
            (pairs.candidates, pairs.log10_nfa) if pairs.candidates.size else None,
            smooth=params.method == "smoother",
        )  # fmt: skip
        indices = follower.rank(beliefs, query_rows, ranked.shape[1])
        save_estimates(estimates, [follower.estimate(belief) for belief in beliefs])
    distances = find_distances(database_rows, query_rows, indices)
    save_predictions(sequenced, Predictions(indices, distances, len(database_rows)))


def _load_side(index: Path, descriptors: NDArray[np.float32]) -> tuple[ImageIndex, list[Recording]]:
    images = load_index(index)
    if len(images.paths) != len(descriptors):
        raise ValueError(
            f"{index}: {len(images.paths)} images, but there are {len(descriptors)} descriptors"
        )
    return images, find_recordings(images.sequence, len(descriptors))


if __name__ == "__main__":
    run_stage(order)
