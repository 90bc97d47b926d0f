"""ALIKED's keypoints (n16), learned, matched mutually and verified by one geometry.

Zhao et al., ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable
Transformation, IEEE TIM 2023; by kornia.
"""

from __future__ import annotations

from kornia.feature import ALIKED as Network
from torch import Tensor

from vpr.matchers.base.detectors import KorniaDetector, MutualMatcher, load_all_but, read_state
from vpr.matchers.base.package_weights import ALIKED

SMALLEST_PX = 6  # of a side; a smaller image has no room for a maximum and its surroundings


class Aliked(KorniaDetector):
    """Keypoints with unit descriptors of 128 values."""

    dim = 128
    _network: Network

    def bears(self, height: int, width: int) -> bool:
        """Return whether an image has room for a maximum."""
        return min(height, width) >= SMALLEST_PX

    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Find the strongest maxima, and their descriptors."""
        self._network.dkd.top_k = max_keypoints
        (features,) = self._network(batch)
        return features.keypoints, features.descriptors


def load_detector(setting: str) -> Aliked:
    """Load ALIKED with the weights of the package, see `read_state`."""
    network = Network("aliked-n16", max_num_keypoints=1, detection_threshold=0)
    load_all_but(network, read_state(ALIKED, setting), "dkd.hw_grid")
    return Aliked(network.eval())


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_detector("rerank.method = aliked"))
