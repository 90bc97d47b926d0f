"""Points of a network, matched mutually and verified by one geometry."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.matchers.base.matcher import LocalPoints, Rules
from vpr.matchers.base.matching import match_mutually
from vpr.matchers.base.verification import find_inliers


class Detector(Protocol):
    """Image -> points with unit descriptors."""

    uses_gpu: bool

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find and describe the strongest points of an image, as in `Matcher`."""


class MutualMatcher:
    """A detector whose points match where each is the other's nearest.

    Args:
        detector: Finds the points.
    """

    def __init__(self, detector: Detector) -> None:
        """Keep the detector."""
        self._detector = detector
        self.uses_gpu = detector.uses_gpu

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the surest points of an image, the surest first."""
        return self._detector.detect(pixels, max_keypoints=max_keypoints)

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Find the mutual matches that one geometry explains; by default without a ratio test."""
        described = (points.descriptors.astype(np.float32) for points in (query, database))
        pairs = match_mutually(*described, ratio=rules.ratio or 1.0)
        return pairs[find_inliers(query.points[pairs[:, 0]], database.points[pairs[:, 1]], rules)]


def to_batch(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Convert RGB of shape (H, W, 3) to a batch of one, values 0 to 1, shape (1, 3, H, W)."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float().div(255).to(device)


def to_points(places: Tensor, descriptors: Tensor, pixels: NDArray[np.uint8]) -> LocalPoints:
    """Convert what a network found in an image.

    Args:
        places: x and y in pixels, shape (num_points, 2).
        descriptors: Shape (num_points, dim).
        pixels: The image, of shape (H, W, 3).

    Returns:
        Descriptors as float16.
    """
    points: NDArray[np.float32] = places.float().cpu().numpy().reshape(-1, 2)
    rows: NDArray[np.float16] = descriptors.cpu().numpy().astype(np.float16)
    return LocalPoints(points, rows, (pixels.shape[0], pixels.shape[1]))
