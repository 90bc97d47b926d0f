"""Photo -> verified ranking, by the steps of the stages keypoints, inliers and order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import Matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher
from vpr.matchers.base.threads import count_cores, map_on_cores, one_thread_each
from vpr.reranking.pairs import Task, gather_pairs, verify_pair
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranking import Stop, rerank
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.predictions import Predictions


@dataclass(frozen=True)
class Reranker:
    """Re-ranks the retrieval of a photo, as the stages do for all queries.

    Args:
        database: Keypoints of the database that are kept.
        keypoints: Settings for finding points of a photo.
        inliers: Settings for verifying candidates.
        order: Settings for ordering them.
    """

    matcher: Matcher
    database: Keypoints
    keypoints: KeypointsParams
    inliers: InliersParams
    order: RerankParams

    def rerank(
        self, pixels: NDArray[np.uint8], retrieved: Predictions, *, num_ranked: int
    ) -> tuple[Predictions, VerifiedPairs]:
        """Order the ranking of one photo as the stages keypoints, inliers and order would.

        Args:
            pixels: RGB of shape (H, W, 3), read at `keypoints.max_side_px`.
            retrieved: Ranking of this photo only, possibly longer than the run's.
            num_ranked: Images that the run ranks for a query; only these are verified.

        Returns:
            The ranking and its verified pairs.
        """
        with one_thread_each():  # as in the stage keypoints, for the same bits
            query = detect_points(self.matcher, pixels, max_keypoints=self.keypoints.max_keypoints)
        if isinstance(self.matcher, PhotoMatcher):
            query = replace(query, read=partial(np.asarray, pixels))
        depth = min(self.inliers.top, num_ranked)
        candidates, distances = retrieved.indices[0, :depth], retrieved.distances[0, :depth]
        task = Task(query, candidates, distances, list(map(self.database.of, candidates.tolist())))
        stop, cores = Stop(self.inliers.stop, self.order.half_inliers), count_cores()
        verify = partial(verify_pair, self.matcher, self.inliers.rules, query)
        # What is under way when the rule stops is lost: not more than one pair per core.
        with closing(map_on_cores(verify, task.points, at_once=cores, ahead=cores - 1)) as pairs:
            verified = gather_pairs(task, pairs, stop=stop)
        order = rerank(
            retrieved, verified,
            top=min(self.order.top, num_ranked), half_inliers=self.order.half_inliers,
        )  # fmt: skip
        return order, verified
