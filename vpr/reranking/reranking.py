"""An order of candidates by inliers, and how often chance would give so many of them.

The number of false alarms is after Moisan and Stival, A Probabilistic Criterion to Detect Rigid
Point Matches Between Two Images and Estimate the Fundamental Matrix, IJCV 2004; for the homography
after Moulon, Monasse and Marlet, Adaptive Structure from Motion with a Contrario Model Estimation,
ACCV 2012.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import Geometry
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.predictions import Predictions

# Matches that determine a model, and the most models that agree with so many.
MODELS: dict[Geometry, tuple[int, int]] = {"fundamental": (7, 3), "homography": (4, 1)}


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


def chance_of_inlier(geometry: Geometry, size: tuple[int, int], *, tolerance_px: float) -> float:
    """Bound the probability that a point drawn uniformly in an image agrees with a model.

    It then lies within the tolerance of a line (no longer than the image's diagonal) with a
    fundamental matrix, or of a point with a homography.

    Args:
        geometry: Geometry between the two images.
        size: Height and width of the image in pixels.
        tolerance_px: Largest distance of an inlier, in pixels.
    """
    height, width = size
    if geometry == "fundamental":
        covered = 2 * math.hypot(height, width) * tolerance_px
    else:
        covered = math.pi * tolerance_px**2
    return min(1.0, covered / (height * width))


def log10_false_alarms(
    geometry: Geometry, *, num_matches: int, num_inliers: int, chance: float
) -> float:
    """Compute log10 NFA: how often chance would give a model so many inliers among the matches.

    NFA = outcomes (n - s) C(n, k) C(k, s) chance^(k - s) bounds the expected number of models with
    k inliers among n random matches, where s matches make a sample.

    Args:
        geometry: Model that the inliers agree with.
        num_matches: n, the matches before geometry.
        num_inliers: k.
        chance: See `chance_of_inlier`.

    Returns:
        At most 0, the value where chance is expected to give as many once or more.
    """
    sample, outcomes = MODELS[geometry]
    if num_inliers <= sample:
        return 0.0
    tests = math.log10(outcomes * (num_matches - sample))
    choices = _log10_choose(num_matches, num_inliers) + _log10_choose(num_inliers, sample)
    return min(0.0, tests + choices + (num_inliers - sample) * math.log10(chance))


def _log10_choose(total: int, chosen: int) -> float:
    return (
        math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    ) / math.log(10)
