"""From the points of two images to the matches that one geometry explains."""

from __future__ import annotations

from abc import ABC, abstractmethod

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints, Rules, Verified

MIN_MATCHES = {"fundamental": 8, "homography": 4}  # with fewer, any model fits
# More iterations find more inliers of chance, and no place more: docs/experiments/reranking.md.
CONFIDENCE, MOST_ITERATIONS = 0.999, 1000


class PointMatcher(ABC):
    """A `Matcher` that stores the points of an image, and pairs those of two images."""

    uses_gpu = False

    @abstractmethod
    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find and describe the strongest points of an image, as in `Matcher`."""

    @abstractmethod
    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Find the rows of both images that match, shape (num_matches, 2).

        Raises:
            ValueError: If the rules have a ratio, and the matcher has no ratio test.
        """

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        """Find the matches that one geometry explains."""
        return keep_inliers(self.match(query, database, rules), query, database, rules)


def match_mutually(
    first: NDArray[np.float32], second: NDArray[np.float32], *, ratio: float
) -> NDArray[np.int64]:
    """Match keypoints that are each other's nearest and pass Lowe's ratio test.

    Args:
        first: Unit descriptors of one image, shape (num_first, dim).
        second: Unit descriptors of the other image, shape (num_second, dim).
        ratio: Threshold of the ratio test, see `choose_mutual`.

    Returns:
        Rows of first and second, shape (num_matches, 2), in first's order.
    """
    return choose_mutual(first @ second.T, ratio=ratio)


def choose_mutual(likeness: NDArray[np.float32], *, ratio: float) -> NDArray[np.int64]:
    """Choose the pairs that are most similar in both directions and pass Lowe's ratio test.

    Args:
        likeness: Cosines, shape (num_first, num_second).
        ratio: A match counts if it is nearer than this share of the distance to the second-nearest
            of the other image (Lowe, IJCV 2004, section 7.1); the only one of its image passes.

    Returns:
        Rows and columns, shape (num_matches, 2), in the rows' order.
    """
    if not likeness.size:
        return np.empty((0, 2), dtype=np.int64)
    nearest = likeness.argmax(axis=1)
    best = likeness[np.arange(len(likeness)), nearest]
    # The largest of a column is found several times as fast as its place.
    mutual = np.flatnonzero(best == likeness.max(axis=0)[nearest])
    _, first = np.unique(nearest[mutual], return_index=True)  # of rows with equal cosines
    rows = mutual[np.sort(first)]
    others = likeness[rows]
    others[np.arange(len(rows)), nearest[rows]] = -np.inf
    # Squares of the distances, halved.
    clear = 1 - best[rows] < ratio**2 * (1 - others.max(axis=1))
    kept: NDArray[np.int64] = np.stack([rows, nearest[rows]], axis=1)[clear]
    return kept


def refuse_ratio(rules: Rules, name: str) -> None:
    """Refuse a ratio for a matcher that does not compare descriptors.

    Raises:
        ValueError: If one is set.
    """
    if rules.ratio is not None:
        raise ValueError(
            f"inliers.ratio = {rules.ratio:g}: {name} has no ratio test: set inliers.ratio: null, "
            "or another rerank.method"
        )


def keep_inliers(
    matches: NDArray[np.int64], query: LocalPoints, database: LocalPoints, rules: Rules
) -> Verified:
    """Keep the matches that one geometry explains.

    Matches are rows of the query's and of the database image's points, shape (num_matches, 2).

    Returns:
        The inliers in the same order.
    """
    first, second = query.points[matches[:, 0]], database.points[matches[:, 1]]
    return Verified(matches[find_inliers(first, second, rules)], len(matches))


def find_inliers(
    first: NDArray[np.float32], second: NDArray[np.float32], rules: Rules
) -> NDArray[np.bool_]:
    """Find the matches that one model explains, by MAGSAC++ (Barath et al., CVPR 2020).

    The random numbers restart for each pair, so that the result depends on nothing else.

    Args:
        first: Points of the matches in one image, in pixels, shape (num_matches, 2).
        second: Points in the other, same shape.
        rules: Their geometry (`fundamental`: two views of any rigid scene; `homography`: of a
            plane, or from one place) and tolerance are used.

    Returns:
        Whether each match is an inlier, shape (num_matches,); all False if there are too few
        matches for a model, or no model fits.
    """
    none = np.zeros(len(first), dtype=np.bool_)
    if len(first) < MIN_MATCHES[rules.geometry]:
        return none
    cv2.setRNGSeed(0)
    try:
        if rules.geometry == "homography":
            _, inliers = cv2.findHomography(first, second, cv2.USAC_MAGSAC, rules.tolerance_px)
        else:
            _, inliers = cv2.findFundamentalMat(
                first, second, cv2.USAC_MAGSAC, rules.tolerance_px, CONFIDENCE, MOST_ITERATIONS
            )
    except cv2.error as error:
        if "model.empty()" not in str(error):
            raise
        return none  # OpenCV 5.0 asserts that there is a model where none fits
    return none if inliers is None else inliers.ravel().astype(np.bool_)
