"""Line segments, compared as sequences of XFeat's descriptors, verified by their ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr.reranking.learned.lines import detect_lines, match_lines
from vpr.reranking.learned.xfeat import XFeat, load_xfeat
from vpr.reranking.matcher import LocalPoints, Rules
from vpr.reranking.verification import find_inliers


class Lines:
    """Lines alone.

    Args:
        xfeat: Describes places of an image.
    """

    def __init__(self, xfeat: XFeat) -> None:
        """Keep the network."""
        self._xfeat = xfeat
        self.uses_gpu = xfeat.uses_gpu

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the longest lines of an image, as `vpr.reranking.learned.lines` stores them."""
        return detect_lines(self._xfeat, pixels, max_rows=max_keypoints)

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Find the ends of matched lines that one geometry explains; by default without a ratio."""
        pairs = match_lines(query, database, ratio=rules.ratio or 1.0)
        return pairs[find_inliers(query.points[pairs[:, 0]], database.points[pairs[:, 1]], rules)]


def make_matcher() -> Lines:
    """Make the matcher with the weights of the package, which is not imported."""
    return Lines(load_xfeat("rerank.method = lines"))
