"""Re-ranking of photos from anywhere, as the recorded run re-ranked its queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.images.image_files import read_image
from vpr.repository.locked_run import locked_params
from vpr.reranking.candidates import ask, verify_query
from vpr.reranking.keypoints import Keypoints, load_keypoints
from vpr.reranking.matcher import Matcher, load_matcher
from vpr.reranking.params import InliersParams, KeypointsParams, RerankParams
from vpr.reranking.reranking import rerank_candidates
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.predictions import Predictions
from vpr.run_files import KEPT, KEYPOINTS, LOCK


@dataclass(frozen=True)
class Verification:
    """What verifies a photo against its candidates.

    Args:
        matcher: Finds points and matches.
        database: Keypoints of the database that are kept.
        points: How points of a photo are found.
        params: How many candidates are verified, and how.
        order: How they are ordered then.
    """

    matcher: Matcher
    database: Keypoints
    points: KeypointsParams
    params: InliersParams
    order: RerankParams

    def rerank(
        self,
        photo: Path,
        indices: NDArray[np.int64],
        distances: NDArray[np.float32],
        *,
        num_ranked: int,
    ) -> tuple[Predictions, VerifiedPairs]:
        """Order the ranking of one photo as the stages inliers and rerank would.

        Args:
            photo: The file.
            indices: Database indices, best first, shape (depth,).
            distances: Of the descriptors, same shape.
            num_ranked: Images that the run ranks for a query, of which it verifies the first.

        Returns:
            The ranking, of one query, and its verified pairs.
        """
        pixels = read_image(photo, scale_to=self.points.max_side_px)
        query = self.matcher.detect(pixels, max_keypoints=self.points.max_keypoints)
        candidates = indices[: min(self.params.top, num_ranked)]
        asked = ask(query, candidates, self.database)
        pairs = verify_query(self.matcher, asked, self.params.rules)
        ranked = Predictions(indices[None], distances[None], len(self.database.sizes))
        inliers, half = pairs.inliers[:, : self.order.top], self.order.half_inliers
        return rerank_candidates(ranked, inliers, half_inliers=half), pairs


def load_verification(run: Path) -> Verification | None:
    """Load what a recorded run re-ranked by; None if it did not.

    Args:
        run: The repository's folder.

    Raises:
        ValueError: If its keypoints are not there.
    """
    order = locked_params("rerank", "rerank", RerankParams, lock=run / LOCK)
    matcher = load_matcher(order.method)
    if matcher is None:
        return None
    for needed in (KEYPOINTS, KEPT):
        if not (run / needed).exists():
            raise ValueError(
                f"{run / needed} is missing: run `dvc repro`, or fetch it with `dvc pull`"
            )
    database = load_keypoints(run / KEYPOINTS)
    database = database.only(load_kept(run / KEPT, num_keypoints=len(database.points)))
    points = locked_params("keypoints@database", "keypoints", KeypointsParams, lock=run / LOCK)
    params = locked_params("inliers", "inliers", InliersParams, lock=run / LOCK)
    return Verification(matcher, database, points, params, order)
