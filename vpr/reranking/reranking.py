"""Re-ranking: the first candidates of each query ordered by similarity and inliers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.predictions import Predictions


class Stop(NamedTuple):
    """When to leave a query's other candidates unverified: once its first predictions are settled.

    Args:
        first: Number of first predictions that no other candidate may change; None: never.
        half_inliers: See `order_by_inliers`.
    """

    first: int | None
    half_inliers: float

    def settles(
        self, distances: NDArray[np.float32], inliers: NDArray[np.int64], most: NDArray[np.int64]
    ) -> bool:
        """Return whether no other candidate can come among the first predictions.

        This is exact: a candidate has at most the score of its own cosine with an inlier at each
        keypoint, and of equal scores the one that the retrieval found first comes first.

        Args:
            distances: Of the candidates, in the retrieval's order, shape (num_candidates,).
            inliers: Of those that were verified, which are the first, shape (num_verified,).
            most: Most inliers that each candidate can have, shape (num_candidates,).
        """
        done = len(inliers)
        if self.first is None or done < self.first or done == len(distances):
            return done == len(distances)
        found = _scores(distances[:done], inliers, self.half_inliers)
        possible = _scores(distances[done:], most[done:], self.half_inliers)
        return bool(np.sort(found)[-self.first] >= possible.max())


def rerank(
    predictions: Predictions, verified: VerifiedPairs, *, top: int, half_inliers: float
) -> Predictions:
    """Order each query's first predictions by their similarity and their inliers.

    `top` predictions of each query are ordered; of a shorter ranking, all. For `half_inliers` see
    `order_by_inliers`.

    Raises:
        ValueError: If the pairs are of another retrieval, or of fewer predictions than `top`.
    """
    depth = verified.candidates.shape[1]
    if not np.array_equal(verified.candidates, predictions.indices[:, :depth]):
        raise ValueError("verified pairs and predictions come from different runs: run `dvc repro`")
    if min(top, predictions.indices.shape[1]) > depth:
        raise ValueError(
            f"params.yaml: rerank.top = {top}: only the first {depth} predictions have inliers: "
            f"set inliers.top = {top} too, or rerank.top = {depth} or less"
        )
    return order_by_inliers(predictions, verified.inliers[:, :top], half_inliers=half_inliers)


def order_by_inliers(
    predictions: Predictions, inliers: NDArray[np.int64], *, half_inliers: float
) -> Predictions:
    """Order the candidates by their similarity and their inliers.

    The score is cosine + inliers / (inliers + half_inliers). The second term saturates: the first
    inliers beyond those of chance count most, and where several candidates have plenty, as
    neighbours on a route do, the descriptor decides among them. Equal scores keep the retrieval's
    order, as do the predictions after the candidates. Candidates that were not verified come after
    those that were: they have no inliers, and smaller cosines.

    Args:
        predictions: Predictions of the retrieval.
        inliers: Inliers of the first candidates, shape (num_queries, num_candidates).
        half_inliers: Inliers at which the second term is one half.

    Returns:
        The same images in each row, each with its own distance.
    """
    count = inliers.shape[1]
    fused = _scores(predictions.distances[:, :count], inliers, half_inliers)
    order = np.tile(np.arange(predictions.indices.shape[1]), (len(inliers), 1))
    order[:, :count] = np.argsort(-fused, axis=1, kind="stable")
    return Predictions(
        np.take_along_axis(predictions.indices, order, axis=1),
        np.take_along_axis(predictions.distances, order, axis=1),
        predictions.num_database,
    )


def _scores(
    distances: NDArray[np.float32], inliers: NDArray[np.int64], half_inliers: float
) -> NDArray[np.float64]:
    cosines = 1 - distances.astype(np.float64) ** 2 / 2  # of unit vectors
    return cosines + inliers / (inliers + half_inliers)
