"""Re-ranking: the first candidates of each query in the order of what geometry says of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vpr.reranking.keypoints import Keypoints
from vpr.reranking.matcher import Matcher
from vpr.retrieval.predictions import Predictions
from vpr.runtime.progress import track


def score_candidates(
    matcher: Matcher,
    predictions: Predictions,
    database: Keypoints,
    query: Keypoints,
    *,
    top: int,
    ratio: float,
    tolerance_px: float,
) -> NDArray[np.int64]:
    """Inliers between each query and its first candidates.

    Args:
        matcher: Verifies a pair.
        predictions: The retrieval.
        database: Keypoints of the database.
        query: Keypoints of the queries.
        top: Candidates of each query; of a shorter ranking all.
        ratio: Of the ratio test.
        tolerance_px: Of an inlier.

    Returns:
        Shape (num_queries, min(top, top_k)).

    Raises:
        ValueError: If the keypoints are of another number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    candidates = predictions.indices[:, :top]
    scores = np.zeros(candidates.shape, dtype=np.int64)
    with threadpool_limits(1):  # the order of sums, and so the bits
        for row in track(range(len(scores)), total=len(scores), title="verified queries"):
            asked = query.of(row)
            for rank, image in enumerate(candidates[row].tolist()):
                scores[row, rank] = matcher.verify(
                    asked, database.of(image), ratio=ratio, tolerance_px=tolerance_px
                )
    return scores


def rerank_candidates(
    predictions: Predictions, scores: NDArray[np.int64], *, min_inliers: int, lead: float
) -> Predictions:
    """The candidates in descending order of inliers, where these say something.

    A gate keeps the retrieval of a query as it is unless the candidate with the most inliers has
    `min_inliers` of them, and `lead` times those of the retrieval's first: photos of different
    places, at night above all, share a handful of inliers by chance. Equal numbers keep the
    retrieval's order, as do the predictions beyond the candidates.

    Args:
        predictions: The retrieval.
        scores: Inliers of the first candidates, shape (num_queries, num_candidates).
        min_inliers: The gate's smallest number.
        lead: The gate's smallest factor.

    Returns:
        The same images in each row, each with its own distance.
    """
    best = scores.max(axis=1)
    opened = (best >= min_inliers) & (best >= lead * scores[:, 0])
    order = np.tile(np.arange(predictions.indices.shape[1]), (len(scores), 1))
    order[opened, : scores.shape[1]] = np.argsort(-scores[opened], axis=1, kind="stable")
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
