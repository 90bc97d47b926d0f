"""ALIKED's keypoints (n16), learned, matched mutually and verified by one geometry.

Zhao et al., ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable
Transformation, IEEE TIM 2023; by kornia.
"""

from __future__ import annotations

from kornia.feature import ALIKED as Network
from torch import Tensor

from vpr.matchers.base.learned import LearnedMatcher, load_all_but, packaged_weights

WEIGHTS = packaged_weights(
    "pretrained_weights/aliked-n16.pth",
    "5be8704840ed662d9d8c561bf7279c222092674e7eb05fd0feab94899e9d82f2",
)


class Aliked(LearnedMatcher):
    """Keypoints with unit descriptors of 128 values."""

    dim = 128
    smallest_px = 6  # a maximum and its surroundings
    _network: Network

    def __init__(self, setting: str) -> None:
        """Load the weights of the package; `setting` asks for them, for messages."""
        network = Network("aliked-n16", max_num_keypoints=1, detection_threshold=0)
        load_all_but(network, WEIGHTS.load(setting), "dkd.hw_grid")
        super().__init__(network)

    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Find the strongest maxima, and their descriptors."""
        self._network.dkd.top_k = max_keypoints
        (features,) = self._network(batch)
        return features.keypoints, features.descriptors


def make_matcher() -> Aliked:
    """Make the matcher with the weights of the package, which is not imported."""
    return Aliked("rerank.method = aliked")
