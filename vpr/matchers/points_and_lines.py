"""XFeat's keypoints and line segments, verified together by one geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints, Rules
from vpr.matchers.base.matching import match_mutually
from vpr.matchers.lines import NO_LINE, Lines, match_lines, on_lines, tag
from vpr.matchers.xfeat import DIM, XFeat


class PointsAndLines(Lines):
    """Half of the rows for keypoints, the other half for lines."""

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident keypoints, then the longest lines, as in `vpr.matchers.lines`."""
        keypoints = XFeat.detect(self, pixels, max_keypoints=max_keypoints - max_keypoints // 2)
        lines = super().detect(pixels, max_keypoints=max_keypoints // 2)
        none = np.full(len(keypoints.points), NO_LINE)
        tagged = tag(keypoints.descriptors.astype(np.float32), none, none)
        return LocalPoints(
            np.concatenate([keypoints.points, lines.points]),
            np.concatenate([tagged, lines.descriptors]),
            keypoints.size,
        )

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match points, then ends of lines; by default without a ratio test."""
        ratio = rules.ratio or 1.0
        return np.concatenate(
            [match_points(query, database, ratio), match_lines(query, database, ratio=ratio)]
        )


def match_points(query: LocalPoints, database: LocalPoints, ratio: float) -> NDArray[np.int64]:
    """Match the points that are not on a line; rows of both, shape (num_matches, 2)."""
    alone = [np.flatnonzero(~on_lines(points)) for points in (query, database)]
    described = (
        points.descriptors[rows, :DIM].astype(np.float32)
        for points, rows in zip((query, database), alone, strict=True)
    )
    pairs = match_mutually(*described, ratio=ratio)
    return np.stack([rows[pairs[:, side]] for side, rows in enumerate(alone)], axis=1)


def make_matcher() -> PointsAndLines:
    """Make the matcher with the weights of the package, which is not imported."""
    return PointsAndLines("rerank.method = points_and_lines")
