"""ALIKED's keypoints (n16).

Zhao et al., ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable
Transformation, IEEE TIM 2023; by kornia.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.feature import ALIKED as Network
from numpy.typing import NDArray

from vpr.matchers.base.detectors import MutualMatcher, to_batch, to_points
from vpr.matchers.base.matcher import LocalPoints
from vpr.matchers.base.package_weights import ALIKED, load_all_but, read_state
from vpr.runtime.device import find_device

DIM = 128
SMALLEST_PX = 6  # of a side; on less there is no place for a maximum and what surrounds it


class Aliked:
    """Keypoints with unit descriptors of 128 values.

    Args:
        network: With its weights, in evaluation mode, made for the strongest maxima.
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
            Descriptors as float16 (num_points, 128).
        """
        if min(pixels.shape[:2]) < SMALLEST_PX:
            return to_points(torch.empty(0, 2), torch.empty(0, DIM), pixels)
        self._network.dkd.top_k = max_keypoints
        with torch.inference_mode():
            (found,) = self._network(to_batch(pixels, self._device))
        return to_points(found.keypoints, found.descriptors.reshape(-1, DIM), pixels)


def load_aliked(setting: str) -> Aliked:
    """Load ALIKED with the weights of the package, which is not imported.

    Args:
        setting: The parameter that asks for it, and its value, for the message.

    Raises:
        OSError: If the package is not installed.
        ValueError: If its file is another one.
    """
    network = Network("aliked-n16", max_num_keypoints=1, detection_threshold=0)
    load_all_but(network, read_state(ALIKED, setting), "dkd.hw_grid")
    return Aliked(network.eval())


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_aliked("rerank.method = aliked"))
