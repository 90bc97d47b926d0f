"""XFeat: learned keypoints, and descriptors of any place of an image.

Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024; by kornia.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.feature.xfeat import XFeat as Network
from numpy.typing import NDArray
from torch.nn import functional

from vpr.matchers.base.detectors import MutualMatcher, to_batch, to_points
from vpr.matchers.base.matcher import LocalPoints
from vpr.runtime.device import find_device
from vpr.runtime.package_weights import XFEAT

DIM = 64
MULTIPLE_PX = 32  # sides are scaled to multiples, at least one, as kornia does for keypoints


class XFeat:
    """Keypoints with unit descriptors of 64 values.

    Args:
        network: With its weights, in evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        """Keep the network, on a GPU if there is one."""
        self._device = find_device()
        self._network = network.to(self._device)
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the surest keypoints of an image, the surest first.

        Args:
            pixels: RGB of shape (H, W, 3); a blank image has no keypoints.
            max_keypoints: How many to keep.

        Returns:
            Descriptors as float16 (num_points, 64).
        """
        batch = to_batch(pixels, self._device)
        with torch.inference_mode():
            (found,) = self._network.detectAndCompute(batch, top_k=max_keypoints)
        return to_points(found["keypoints"], found["descriptors"].reshape(-1, DIM), pixels)

    def describe(
        self, pixels: NDArray[np.uint8], places: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Describe places of an image as keypoints are: from the dense map, bicubically.

        Args:
            pixels: RGB of shape (H, W, 3).
            places: x and y in pixels, shape (num_places, 2).

        Returns:
            Unit rows of shape (num_places, 64).
        """
        sides = pixels.shape[:2]
        height, width = (max(MULTIPLE_PX, side // MULTIPLE_PX * MULTIPLE_PX) for side in sides)
        scaled = places * np.array([width / sides[1], height / sides[0]], np.float32)
        with torch.inference_mode():
            batch = functional.interpolate(
                to_batch(pixels, self._device), (height, width), mode="bilinear"
            )
            maps = functional.normalize(self._network.net(batch)[0], dim=1)
            asked = torch.from_numpy(scaled)[None].to(self._device)
            rows = self._network.interpolator(maps, asked, H=height, W=width)[0]
            described: NDArray[np.float32] = functional.normalize(rows, dim=1).cpu().numpy()
        return described


def load_xfeat(setting: str) -> XFeat:
    """Load XFeat with the weights of the package, which is not imported.

    Args:
        setting: The parameter that asks for it, and its value, for the message.

    Raises:
        OSError: If the package is not installed.
        ValueError: If its file is another one.
    """
    network = Network()
    state = torch.load(XFEAT.find(setting), map_location="cpu", weights_only=True)
    network.net.load_state_dict(state)
    return XFeat(network.eval())


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_xfeat("rerank.method = xfeat"))
