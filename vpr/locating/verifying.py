"""What a recorded run re-ranked its queries by, for photos from anywhere."""

from __future__ import annotations

from pathlib import Path

from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.repository.locked_run import locked_params
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.reranking.utility_files import load_kept
from vpr.run_files import KEPT, KEYPOINTS, LOCK


def load_reranker(run: Path) -> Reranker | None:
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
    inliers = locked_params("inliers", "inliers", InliersParams, lock=run / LOCK)
    return Reranker(matcher, database, points, inliers, order)
