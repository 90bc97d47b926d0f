"""Loop closures: the photos of a drive that show a place where it was before.

The database is the drive's own past but for its last photos, as in SLAM: candidates by descriptors,
accepted by geometry (Cummins and Newman, FAB-MAP, IJRR 2008; Gálvez-López and Tardós, Bags of
Binary Words, IEEE T-RO 2012).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from vpr.evaluation.acceptance import limit_of_model
from vpr.evaluation.calibration import Calibration
from vpr.images.image_files import read_image
from vpr.locating.ranking import Ranker
from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.matcher import LocalPoints
from vpr.matchers.base.photos import PhotoMatcher
from vpr.network.describing import describe_photos
from vpr.reranking.pairs import verify_pair

RATE = 0.01  # of photos that chance may close a loop for, where nothing is calibrated
REMEMBERED = 512  # photos whose local features are in memory


@dataclass(frozen=True)
class Loop:
    """A photo that shows the place of an earlier one.

    Args:
        photo: Its number in the drive, from 0.
        earlier: That of the earlier photo.
        similarity: Cosine of the descriptors.
        inliers: Matches of local features that one geometry explains.
        log10_nfa: log10 of how often chance would give so many.
    """

    photo: int
    earlier: int
    similarity: float
    inliers: int
    log10_nfa: float


def find_loops(
    ranker: Ranker, photos: Sequence[Path], *, apart: int, top: int, limit: float
) -> Iterator[Loop | None]:
    """Look for each photo's place among the photos before it.

    Args:
        ranker: What a run describes and verifies photos with.
        photos: Of one drive, in order.
        apart: Photos just before one that are not looked at, at least 1.
        top: Earlier photos that are verified, the most similar first.
        limit: The largest log10 NFA that closes a loop.

    Yields:
        For each photo the loop with the lowest log10 NFA, or None.

    Raises:
        ValueError: If the run verifies nothing, or a photo does not decode.
    """
    reranker = ranker.reranker
    if reranker is None:
        raise ValueError(
            "loops are closed by geometry, and this run verifies nothing (rerank.method = none): "
            "set rerank.method to xfeat or another matcher, and run `dvc repro`"
        )
    settings, rules = reranker.keypoints, reranker.inliers.rules

    @lru_cache(maxsize=REMEMBERED)
    def points_of(number: int) -> LocalPoints:
        pixels = read_image(photos[number], scale_to=settings.max_side_px)
        found = detect_points(reranker.matcher, pixels, max_keypoints=settings.max_keypoints)
        return replace(found, read=partial(np.asarray, pixels)) if is_photo else found

    is_photo = isinstance(reranker.matcher, PhotoMatcher)
    rows = np.concatenate([
        ranker.whiten(batch.descriptors) for batch in describe_photos(ranker.network, photos)
    ])  # fmt: skip
    for number, row in enumerate(rows):
        past = rows[: max(number - apart, 0)] @ row
        loops = []
        for earlier in np.argsort(-past, kind="stable")[:top].tolist():
            pair = verify_pair(reranker.matcher, rules, points_of(number), points_of(earlier))
            if pair.log10_nfa <= limit:
                similarity = round(float(past[earlier]), 6)
                loops.append(
                    Loop(number, earlier, similarity, len(pair.places), round(pair.log10_nfa, 3))
                )
        yield min(loops, key=lambda loop: loop.log10_nfa, default=None)


def find_limit(calibration: Calibration | None, *, top: int) -> float:
    """Find the largest log10 NFA of a loop: the run's, or the background model's."""
    if calibration is not None and calibration.by == "inliers" and calibration.map_limit:
        return calibration.map_limit
    return limit_of_model(RATE, num_candidates=top)
