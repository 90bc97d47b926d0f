"""Re-ranking: the first candidates of each query in the order of what geometry says of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vpr.reranking.keypoints import Keypoints
from vpr.reranking.matcher import Matcher, Rules
from vpr.retrieval.predictions import Predictions
from vpr.runtime.progress import track


def score_candidates(
    matcher: Matcher,
    predictions: Predictions,
    database: Keypoints,
    query: Keypoints,
    *,
    top: int,
    rules: Rules,
) -> NDArray[np.int64]:
    """Count inliers between each query and its first candidates.

    Args:
        matcher: Verifies a pair.
        predictions: The retrieval.
        database: Keypoints of the database.
        query: Keypoints of the queries.
        top: Candidates of each query; of a shorter ranking all.
        rules: What a match is.

    Returns:
        Shape (num_queries, min(top, top_k)).

    Raises:
        ValueError: If the keypoints are of another number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    candidates = predictions.indices[:, :top]
    scores = np.zeros(candidates.shape, dtype=np.int64)

    def verify(row: int) -> list[int]:
        return [
            len(matcher.verify(query.of(row), database.of(image), rules))
            for image in candidates[row].tolist()
        ]

    # Queries on all cores, each sum on one thread: its order, and so the bits, stay the same.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(verify, range(len(scores)))
        for row, inliers in enumerate(track(found, total=len(scores), title="verified queries")):
            scores[row] = inliers
    return scores


def rerank_candidates(
    predictions: Predictions, scores: NDArray[np.int64], *, half_inliers: float
) -> Predictions:
    """Order the candidates by their similarity and by what geometry says of them.

    The score is cosine + inliers / (inliers + half_inliers). The second term saturates: the first
    inliers beyond those of chance count most, and where several candidates have plenty, as
    neighbours on a route do, the descriptor decides among them. Equal scores keep the retrieval's
    order, as do the predictions after the candidates.

    Args:
        predictions: The retrieval.
        scores: Inliers of the first candidates, shape (num_queries, num_candidates).
        half_inliers: Inliers at which the second term is a half.

    Returns:
        The same images in each row, each with its own distance.
    """
    count = scores.shape[1]
    distances = predictions.distances[:, :count].astype(np.float64)
    cosines = 1 - distances**2 / 2  # of unit vectors
    fused = cosines + scores / (scores + half_inliers)
    order = np.tile(np.arange(predictions.indices.shape[1]), (len(scores), 1))
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
