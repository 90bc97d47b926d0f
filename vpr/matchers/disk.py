"""DISK's keypoints.

Tyszkiewicz, Fua and Trulls, DISK: Learning Local Features with Policy Gradient, NeurIPS 2020; by
kornia.
"""

from __future__ import annotations

import numpy as np
import torch
from kornia.feature import DISK as Network
from numpy.typing import NDArray

from vpr.matchers.base.detectors import MutualMatcher, to_batch, to_points
from vpr.matchers.base.matcher import LocalPoints
from vpr.matchers.base.package_weights import DISK, read_state
from vpr.runtime.device import find_device

DIM = 128
STRIDE_PX = 16  # of the coarsest layer, which must have more than one position


class Disk:
    """Keypoints with unit descriptors of 128 values.

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
            pixels: RGB of shape (H, W, 3); a blank image has hardly any keypoints, and one of 16
                pixels or less none.
            max_keypoints: How many to keep.

        Returns:
            Descriptors as float16 (num_points, 128).
        """
        if max(pixels.shape[:2]) <= STRIDE_PX:
            return to_points(torch.empty(0, 2), torch.empty(0, DIM), pixels)
        with torch.inference_mode():
            (found,) = self._network(
                to_batch(pixels, self._device), n=max_keypoints, pad_if_not_divisible=True
            )
            surest = found.detection_scores.argsort(descending=True, stable=True)
        return to_points(found.keypoints[surest], found.descriptors[surest], pixels)


def load_disk(setting: str) -> Disk:
    """Load DISK with the weights of the package, which is not imported.

    Args:
        setting: The parameter that asks for it, and its value, for the message.

    Raises:
        OSError: If the package is not installed.
        ValueError: If its file is another one.
    """
    network = Network()
    network.load_state_dict(read_state(DISK, setting)["extractor"])  # type: ignore[arg-type]
    return Disk(network.eval())


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_disk("rerank.method = disk"))
