"""LightGlue: points of two images matched by a network that sees all points of both.

Lindenberger, Sarlin and Pollefeys, LightGlue: Local Feature Matching at Light Speed, ICCV 2023; by
kornia.
"""

from __future__ import annotations

import re
from importlib import import_module

import numpy as np
import torch
from kornia.feature import LightGlue as Network
from numpy.typing import NDArray
from torch import Tensor

from vpr.matchers.base.detectors import Detector, load_all_but, read_state
from vpr.matchers.base.matcher import LocalPoints, Rules, Verified
from vpr.matchers.base.matching import keep_inliers, refuse_ratio
from vpr.matchers.base.package_weights import LIGHTGLUE
from vpr.runtime.device import find_device
from vpr.runtime.package_weights import PackageWeights

DIM = 128
# In DISK's file; no layer of the published code has it.
UNUSED = re.compile(r"log_assignment\.\d+\.r")


class LightGlueMatcher:
    """A detector whose points are matched by LightGlue.

    Args:
        detector: Detector that the network was trained for.
        network: Network with its weights, in evaluation mode.
    """

    def __init__(self, detector: Detector, network: Network) -> None:
        """Move both to a GPU if there is one."""
        self._device = find_device()
        self._detector, self._network = detector, network.to(self._device)
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the most confident points of an image, best first."""
        return self._detector.detect(pixels, max_keypoints=max_keypoints)

    def match(self, query: LocalPoints, database: LocalPoints) -> NDArray[np.int64]:
        """Match points; shape (num_matches, 2), in the query's order."""
        with torch.inference_mode():
            matched = self._network({"image0": self._form(query), "image1": self._form(database)})
        matches: NDArray[np.int64] = matched["matches"][0].cpu().numpy()
        return matches

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        """Find the matches that one geometry explains.

        Raises:
            ValueError: If a ratio is asked for.
        """
        refuse_ratio(rules, "LightGlue")
        return keep_inliers(self.match(query, database), query, database, rules)

    def _form(self, points: LocalPoints) -> dict[str, Tensor]:
        rows = points.descriptors.astype(np.float32)
        arrays = {
            "keypoints": points.points, "descriptors": rows,
            "image_size": np.array(points.size[::-1], np.float32),
        }  # fmt: skip
        return {
            name: torch.from_numpy(array)[None].to(self._device) for name, array in arrays.items()
        }


def load_lightglue(weights: PackageWeights, setting: str) -> Network:
    """Load LightGlue with the weights for a kind of points, see `read_state`."""
    # None downloads nothing, which its annotation does not say.
    network = Network(features=None, input_dim=DIM)  # type: ignore[arg-type]
    state = {
        re.sub(r"^(self_attn|cross_attn)\.(\d+)", r"transformers.\2.\1", name): tensor
        for name, tensor in read_state(weights, setting).items()
        if not UNUSED.fullmatch(name)
    }
    load_all_but(network, state, "confidence_thresholds")
    return network.eval()


def match_by_lightglue(detector: str) -> LightGlueMatcher:
    """Make the matcher for a detector of the drawer, a key of `LIGHTGLUE`, with package weights.

    The detector's file has a function `load_detector`.
    """
    setting = f"rerank.method = {detector}_lightglue"
    load_detector = import_module(f"vpr.matchers.{detector}").load_detector
    return LightGlueMatcher(load_detector(setting), load_lightglue(LIGHTGLUE[detector], setting))
