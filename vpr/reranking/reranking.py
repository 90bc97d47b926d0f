"""Re-ranking: the first candidates of each query in the order of what geometry says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vpr.reranking.keypoints import Keypoints
from vpr.reranking.matcher import LocalPoints, Matcher, Rules
from vpr.reranking.verified_pairs import (
    WHOLE,
    VerifiedPairs,
    concatenate_pairs,
    load_part,
    save_part,
)
from vpr.retrieval.predictions import Predictions
from vpr.runtime.progress import track

QUERIES_AT_ONCE = 32  # saved together: what a kill costs at most


def verify_candidates(
    matcher: Matcher,
    predictions: Predictions,
    database: Keypoints,
    query: Keypoints,
    *,
    top: int,
    rules: Rules,
    saved: Path,
) -> VerifiedPairs:
    """Find the inliers between each query and its first candidates.

    Args:
        matcher: Verifies a pair.
        predictions: The retrieval.
        database: Keypoints of the database.
        query: Keypoints of the queries.
        top: Candidates of each query; of a shorter ranking all.
        rules: What a match is.
        saved: Folder of what an interrupted run found, and this one finds.

    Raises:
        ValueError: If the keypoints are of another number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    candidates = predictions.indices[:, :top]
    saved.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(candidates), QUERIES_AT_ONCE)
    parts = []
    for start in track(starts, total=len(starts), title="verified queries, 32 at once"):
        file = saved / f"{start:06d}.npz"
        if not file.exists():
            rows = range(start, min(start + QUERIES_AT_ONCE, len(candidates)))
            found = _verify_queries(matcher, candidates, database, query, rows, rules)
            save_part(file, concatenate_pairs(list(found)))
        parts.append(load_part(file))
    return concatenate_pairs(parts)


def _verify_queries(
    matcher: Matcher,
    candidates: NDArray[np.int64],
    database: Keypoints,
    query: Keypoints,
    rows: range,
    rules: Rules,
) -> Iterator[VerifiedPairs]:
    def verify(row: int) -> VerifiedPairs:
        return verify_query(matcher, query.of(row), candidates[row], database, rules)

    # Queries on all cores, each sum on one thread: its order, and so the bits, stay the same.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(verify, rows)


def verify_query(
    matcher: Matcher,
    query: LocalPoints,
    candidates: NDArray[np.int64],
    database: Keypoints,
    rules: Rules,
) -> VerifiedPairs:
    """Find the inliers between one query and its candidates.

    Args:
        matcher: Verifies a pair.
        query: Points of the query.
        candidates: Database indices, shape (num_candidates,).
        database: Keypoints of the database.
        rules: What a match is.
    """
    places = []
    for image in candidates.tolist():
        points = database.of(image)
        places.append(_places(query, points, matcher.verify(query, points, rules)))
    inliers = np.array([[len(one) for one in places]], dtype=np.int64)
    return VerifiedPairs(candidates[None], inliers, np.concatenate(places))


def _places(
    query: LocalPoints, database: LocalPoints, pairs: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """Convert matched points to places that hold at any size of the images.

    Args:
        query: Points of the query.
        database: Points of the database image.
        pairs: Rows of both, shape (num_matches, 2).

    Returns:
        As `VerifiedPairs` has them, shape (num_matches, 2, 2).
    """
    shares = [
        one.points[rows] / np.array(one.size[::-1], np.float64)
        for one, rows in zip((query, database), pairs.T, strict=True)
    ]
    places: NDArray[np.uint16] = np.rint(np.stack(shares, axis=1).clip(0, 1) * WHOLE).astype(
        np.uint16
    )
    return places


def rerank_candidates(
    predictions: Predictions, inliers: NDArray[np.int64], *, half_inliers: float
) -> Predictions:
    """Order the candidates by their similarity and by what geometry says of them.

    The score is cosine + inliers / (inliers + half_inliers). The second term saturates: the first
    inliers beyond those of chance count most, and where several candidates have plenty, as
    neighbours on a route do, the descriptor decides among them. Equal scores keep the retrieval's
    order, as do the predictions after the candidates.

    Args:
        predictions: The retrieval.
        inliers: Of the first candidates, shape (num_queries, num_candidates).
        half_inliers: Inliers at which the second term is a half.

    Returns:
        The same images in each row, each with its own distance.
    """
    count = inliers.shape[1]
    distances = predictions.distances[:, :count].astype(np.float64)
    cosines = 1 - distances**2 / 2  # of unit vectors
    fused = cosines + inliers / (inliers + half_inliers)
    order = np.tile(np.arange(predictions.indices.shape[1]), (len(inliers), 1))
    order[:, :count] = np.argsort(-fused, axis=1, kind="stable")
    return Predictions(
        np.take_along_axis(predictions.indices, order, axis=1),
        np.take_along_axis(predictions.distances, order, axis=1),
        predictions.num_database,
    )


def _check_sizes(predictions: Predictions, database: Keypoints, query: Keypoints) -> None:
    expected = (len(predictions.indices), predictions.num_database)
    found = (len(query.sizes), len(database.sizes))
    if expected != found:
        raise ValueError(
            f"number of queries and database images: predictions have {expected}, keypoints {found}"
        )
