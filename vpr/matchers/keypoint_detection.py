"""SIFT keypoints of images. The patent on SIFT expired in March 2020."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.reranking.keypoints import DIM, ImageKeypoints


def detect_keypoints(pixels: NDArray[np.uint8], *, max_keypoints: int) -> ImageKeypoints:
    """The strongest SIFT keypoints of an image, the strongest first (Lowe, IJCV 2004).

    Args:
        pixels: RGB of shape (H, W, 3); a blank image has no keypoints.
        max_keypoints: How many to keep.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT_create(nfeatures=max_keypoints)  # type: ignore[attr-defined] # not in its stubs
    found, described = sift.detectAndCompute(grey, None)
    if described is None:
        described = np.empty((0, DIM), np.float32)
    # OpenCV keeps more than asked where responses are equal.
    strongest = np.argsort([-one.response for one in found], kind="stable")[:max_keypoints]
    points = cv2.KeyPoint.convert(found)
    return ImageKeypoints(
        np.asarray(points, np.float32).reshape(-1, 2)[strongest],
        described[strongest].astype(np.uint8),
        (pixels.shape[0], pixels.shape[1]),
    )
