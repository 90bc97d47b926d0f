"""Geometric verification: do two photos show the same thing from two places?"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.reranking.matcher import Rules

MIN_MATCHES = {"fundamental": 8, "homography": 4}  # below which any model fits
CONFIDENCE, MOST_ITERATIONS = 0.999, 10_000


def count_inliers(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    rules: Rules,
) -> int:
    """Count the matches that one model explains, as MAGSAC++ finds it (Barath et al., CVPR 2020).

    The random numbers start anew for each pair, so that the count depends on nothing else.

    Args:
        first: Points of the matches in one image, in pixels, shape (num_matches, 2).
        second: Points in the other, same shape.
        rules: Of them the geometry (`fundamental`: two views of any rigid scene; `homography`: of
            a plane, or from one place) and the tolerance.

    Returns:
        The number of inliers; 0 where there are too few matches for a model, or none fits.
    """
    if len(first) < MIN_MATCHES[rules.geometry]:
        return 0
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
        return 0  # OpenCV 5.0 asserts that there is a model where none fits
    return 0 if inliers is None else int(np.count_nonzero(inliers))
