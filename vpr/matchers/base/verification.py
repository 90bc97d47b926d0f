"""Geometric verification: do two photos show the same thing from two places?"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import Rules

MIN_MATCHES = {"fundamental": 8, "homography": 4}  # below which any model fits
CONFIDENCE, MOST_ITERATIONS = 0.999, 10_000


def find_inliers(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    rules: Rules,
) -> NDArray[np.bool_]:
    """Find the matches that one model explains, by MAGSAC++ (Barath et al., CVPR 2020).

    The random numbers start anew for each pair, so that the result depends on nothing else.

    Args:
        first: Points of the matches in one image, in pixels, shape (num_matches, 2).
        second: Points in the other, same shape.
        rules: Of them the geometry (`fundamental`: two views of any rigid scene; `homography`: of
            a plane, or from one place) and the tolerance.

    Returns:
        Whether each match is an inlier, shape (num_matches,); none is where there are too few
        matches for a model, or none fits.
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
