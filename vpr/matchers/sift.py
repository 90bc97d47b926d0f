"""SIFT keypoints, matched mutually and verified by one geometry.

The patent on SIFT expired in March 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints, Rules
from vpr.matchers.base.matching import PointMatcher, match_mutually

DIM = 128
RATIO = 0.8  # Lowe, IJCV 2004, section 7.1


class Sift(PointMatcher):
    """Lowe's SIFT (IJCV 2004), whose descriptors are matched as RootSIFT."""

    def __reduce__(self) -> tuple[Callable[[], Sift], tuple[()]]:
        """Pickle as the call that makes it, so that OpenCV is set up on the other machine."""
        return make_matcher, ()

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the strongest keypoints of an image, the strongest first.

        The pixels are RGB of shape (H, W, 3); a blank image has no keypoints.

        Returns:
            Descriptors as integers of 0 to 255, uint8 (num_points, 128).
        """
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        sift = cv2.SIFT_create(nfeatures=max_keypoints)  # type: ignore[attr-defined] # not in its stubs
        keypoints, described = sift.detectAndCompute(grey, None)
        if described is None:
            described = np.empty((0, DIM), np.float32)
        # OpenCV keeps more than asked where responses are equal.
        weakness = [-keypoint.response for keypoint in keypoints]
        strongest = np.argsort(weakness, kind="stable")[:max_keypoints]
        points = cv2.KeyPoint.convert(keypoints)
        return LocalPoints(
            np.asarray(points, np.float32).reshape(-1, 2)[strongest],
            described[strongest].astype(np.uint8),
            (pixels.shape[0], pixels.shape[1]),
        )

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match mutual nearest neighbours; by default with Lowe's ratio."""
        described = root_sift(query.descriptors), root_sift(database.descriptors)
        return match_mutually(*described, ratio=rules.ratio or RATIO)


def make_matcher() -> Sift:
    """Make the matcher; OpenCV computes on one thread, so that bits are repeatable."""
    cv2.setNumThreads(1)
    return Sift()


def root_sift(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert SIFT to the form whose Euclidean distance is the Hellinger distance.

    Square root of the L1-normalised histogram (Arandjelović and Zisserman, CVPR 2012).

    Returns:
        Unit rows of the same shape; a row of zeros stays one.
    """
    counts = descriptors.astype(np.float32)
    roots: NDArray[np.float32] = np.sqrt(counts / counts.sum(axis=1, keepdims=True).clip(min=1))
    return roots
