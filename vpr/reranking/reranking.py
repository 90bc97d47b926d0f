"""Re-ranking: the first candidates of each query in the order of what geometry says of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.predictions import Predictions


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
