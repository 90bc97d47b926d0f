"""Geometric verification: do two photos show the same thing from two places?"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_MATCHES = 4  # that define a homography


def count_inliers(
    first: NDArray[np.float32], second: NDArray[np.float32], *, tolerance_px: float
) -> int:
    """Matches that one homography explains, as MAGSAC++ finds it (Barath et al., CVPR 2020).

    The random numbers start anew for each pair, so that the count depends on nothing else.

    Args:
        first: Points of the matches in one image, in pixels, shape (num_matches, 2).
        second: Points in the other, same shape.
        tolerance_px: Largest distance in pixels at which a match is an inlier.

    Returns:
        The number of inliers; 0 where there are too few matches for a homography, or none fits.
    """
    if len(first) < MIN_MATCHES:
        return 0
    cv2.setRNGSeed(0)
    _, inliers = cv2.findHomography(first, second, cv2.USAC_MAGSAC, tolerance_px)
    return 0 if inliers is None else int(np.count_nonzero(inliers))
