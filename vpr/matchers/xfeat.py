"""XFeat's keypoints, learned, matched mutually and verified by one geometry.

Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024; by kornia.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.feature.xfeat import XFeat as Network
from numpy.typing import NDArray

from vpr.reranking.matcher import LocalPoints, Rules
from vpr.reranking.matching import match_mutually
from vpr.reranking.verification import find_inliers
from vpr.runtime.device import find_device
from vpr.runtime.package_weights import XFEAT

DIM = 64


class XFeat:
    """Keypoints with unit descriptors of 64 values.

    Args:
        network: With its weights, in evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        """Keep the network, on a GPU if there is one."""
        self._device = find_device()
        self._network = network.to(self._device)

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the surest keypoints of an image, the surest first.

        Args:
            pixels: RGB of shape (H, W, 3); a blank image has no keypoints.
            max_keypoints: How many to keep.

        Returns:
            Descriptors as float16 (num_points, 64).
        """
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            (found,) = self._network.detectAndCompute(image.to(self._device), top_k=max_keypoints)
        points, descriptors = (found[name].cpu().numpy() for name in ("keypoints", "descriptors"))
        return LocalPoints(
            points.astype(np.float32).reshape(-1, 2),
            descriptors.astype(np.float16).reshape(-1, DIM),
            (pixels.shape[0], pixels.shape[1]),
        )

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Find the mutual matches that one geometry explains; by default without a ratio test."""
        described = (points.descriptors.astype(np.float32) for points in (query, database))
        pairs = match_mutually(*described, ratio=rules.ratio or 1.0)
        return pairs[find_inliers(query.points[pairs[:, 0]], database.points[pairs[:, 1]], rules)]


def make_matcher() -> XFeat:
    """Make the matcher with the weights of the package, which is not imported.

    Raises:
        OSError: If the package is not installed.
        ValueError: If its file is another one.
    """
    file = XFEAT.find("rerank.method = xfeat")
    network = Network()
    network.net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return XFeat(network.eval())
