"""Networks that find and describe points, and a matcher of such points by mutual matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.matchers.base.matcher import LocalPoints, Rules, Verified
from vpr.matchers.base.matching import keep_inliers, match_mutually
from vpr.runtime.device import find_device
from vpr.runtime.package_weights import PackageWeights


class Detector(Protocol):
    """Image -> points with unit descriptors."""

    uses_gpu: bool

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find and describe the strongest points of an image, as in `Matcher`."""


class KorniaDetector(ABC):
    """A network of kornia that finds keypoints and describes each by a unit vector.

    Args:
        network: Network with its weights, in evaluation mode.
    """

    dim: ClassVar[int]  # of a descriptor

    def __init__(self, network: nn.Module) -> None:
        """Move the network to a GPU if there is one."""
        self._device = find_device()
        self._network = network.to(self._device)
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident keypoints of an image, best first; descriptors are float16."""
        height, width, _ = pixels.shape
        points, descriptors = torch.empty(0, 2), torch.empty(0, self.dim)
        if self.bears(height, width):
            with torch.inference_mode():
                points, descriptors = self.find(self.to_batch(pixels), max_keypoints)
        places: NDArray[np.float32] = points.float().cpu().numpy().reshape(-1, 2)
        rows: NDArray[np.float16] = descriptors.cpu().numpy().astype(np.float16)
        return LocalPoints(places, rows.reshape(-1, self.dim), (height, width))

    def to_batch(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Convert RGB of shape (H, W, 3) to a batch of one, values 0 to 1, (1, 3, H, W)."""
        batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float().div(255)
        return batch.to(self._device)

    def bears(self, height: int, width: int) -> bool:
        """Return whether the network can process an image of this size."""
        return True

    @abstractmethod
    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Run the network on one image, (1, 3, H, W), with values 0 to 1.

        Returns:
            x and y in pixels, shape (num_points, 2), and descriptors (num_points, dim), the most
            confident point first.
        """


class MutualMatcher:
    """A detector whose points match if each is the other's nearest."""

    def __init__(self, detector: Detector) -> None:
        """Keep the detector."""
        self._detector = detector
        self.uses_gpu = detector.uses_gpu

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident points of an image, best first."""
        return self._detector.detect(pixels, max_keypoints=max_keypoints)

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        """Find the mutual matches that one geometry explains; by default without a ratio test."""
        described = (points.descriptors.astype(np.float32) for points in (query, database))
        matches = match_mutually(*described, ratio=rules.ratio or 1.0)
        return keep_inliers(matches, query, database, rules)


def read_state(weights: PackageWeights, setting: str) -> dict[str, Tensor]:
    """Read a package's file of weights, as tensors and nothing else.

    `setting` is the parameter that asks for it, with its value, for the message.

    Raises:
        OSError: If the package is not installed.
        ValueError: If the file has another hash.
    """
    state: dict[str, Tensor] = torch.load(
        weights.find(setting), map_location="cpu", weights_only=True
    )
    return state


def load_all_but(network: nn.Module, state: dict[str, Tensor], derived: str) -> None:
    """Load a state strictly, except for a buffer that the network derives from its settings.

    Raises:
        RuntimeError: If any other name or shape differs.
    """
    network.load_state_dict({**state, derived: network.get_buffer(derived)})
