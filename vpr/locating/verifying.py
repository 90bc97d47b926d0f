"""What the recorded run re-ranked its queries by, for photos from anywhere."""

from __future__ import annotations

from pathlib import Path

from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.repository.locked_run import locked_params
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verification import Reranker

KEYPOINTS = Path("data/keypoints/database")
KEPT = Path("data/utility/kept.npy")


def load_reranker() -> Reranker | None:
    """Load what the recorded run re-ranked by; None if it did not.

    Raises:
        ValueError: If its keypoints are not there.
    """
    order = locked_params("rerank", "rerank", RerankParams)
    matcher = load_matcher(order.method)
    if matcher is None:
        return None
    for needed in (KEYPOINTS, KEPT):
        if not needed.exists():
            raise ValueError(f"{needed} is missing: run `dvc repro`, or fetch it with `dvc pull`")
    database = load_keypoints(KEYPOINTS)
    database = database.only(load_kept(KEPT, num_keypoints=len(database.points)))
    points = locked_params("keypoints_db", "keypoints", KeypointsParams)
    inliers = locked_params("inliers", "inliers", InliersParams)
    return Reranker(matcher, database, points, inliers, order)
