"""XFeat: learned keypoints, matched mutually, and descriptors of any place of an image.

Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024; by kornia.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.feature.xfeat import XFeat as Network
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vpr.matchers.base.learned import LearnedMatcher
from vpr.runtime.tensors import XFEAT

DIM = 64
MULTIPLE_PX = 32  # sides are scaled to multiples, at least one, as kornia does for keypoints


class XFeat(LearnedMatcher):
    """Keypoints with unit descriptors of 64 values."""

    dim = DIM
    _network: Network

    def __init__(self, setting: str) -> None:
        """Load the weights of the package; `setting` asks for them, for messages."""
        network = Network()
        network.net.load_state_dict(XFEAT.load(setting))
        super().__init__(network)

    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Find the most confident keypoints, and their descriptors."""
        (features,) = self._network.detectAndCompute(batch, top_k=max_keypoints)
        return features["keypoints"], features["descriptors"]

    def describe(
        self, pixels: NDArray[np.uint8], places: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Describe places of an image like keypoints: from the dense map, bicubically.

        The pixels are RGB of shape (H, W, 3), the places x and y in pixels, shape (num_places, 2).

        Returns:
            Unit rows of shape (num_places, 64).
        """
        sides = pixels.shape[:2]
        height, width = (max(MULTIPLE_PX, side // MULTIPLE_PX * MULTIPLE_PX) for side in sides)
        scaled = places * np.array([width / sides[1], height / sides[0]], np.float32)
        with torch.inference_mode():
            batch = functional.interpolate(self.to_batch(pixels), (height, width), mode="bilinear")
            maps = functional.normalize(self._network.net(batch)[0], dim=1)
            asked = torch.from_numpy(scaled)[None].to(self._device)
            rows = self._network.interpolator(maps, asked, H=height, W=width)[0]
            described: NDArray[np.float32] = functional.normalize(rows, dim=1).cpu().numpy()
        return described


def make_matcher() -> XFeat:
    """Make the matcher with the weights of the package, which is not imported."""
    return XFeat("rerank.method = xfeat")
