"""DISK's keypoints, learned, matched mutually and verified by one geometry.

Tyszkiewicz, Fua and Trulls, DISK: Learning Local Features with Policy Gradient, NeurIPS 2020; by
kornia.
"""

from __future__ import annotations

from kornia.feature import DISK as Network
from torch import Tensor

from vpr.matchers.base.learned import LearnedMatcher, packaged_weights

WEIGHTS = packaged_weights(
    "pretrained_weights/disk-depth-save.pth",
    "9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
)


class Disk(LearnedMatcher):
    """Keypoints with unit descriptors of 128 values."""

    dim = 128
    smallest_px = 17  # more than one position of the coarsest layer, whose stride is 16
    _network: Network

    def __init__(self, setting: str) -> None:
        """Load the weights of the package; `setting` asks for them, for messages."""
        network = Network()
        network.load_state_dict(WEIGHTS.load(setting)["extractor"])
        super().__init__(network)

    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Find the highest scores, and their descriptors."""
        (features,) = self._network(batch, n=max_keypoints, pad_if_not_divisible=True)
        surest = features.detection_scores.argsort(descending=True, stable=True)
        return features.keypoints[surest], features.descriptors[surest]


def make_matcher() -> Disk:
    """Make the matcher with the weights of the package, which is not imported."""
    return Disk("rerank.method = disk")
