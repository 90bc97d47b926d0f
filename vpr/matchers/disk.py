"""DISK's keypoints, learned, matched mutually and verified by one geometry.

Tyszkiewicz, Fua and Trulls, DISK: Learning Local Features with Policy Gradient, NeurIPS 2020; by
kornia.
"""

from __future__ import annotations

from kornia.feature import DISK as Network
from torch import Tensor

from vpr.matchers.base.detectors import KorniaDetector, MutualMatcher, read_state
from vpr.matchers.base.package_weights import DISK

STRIDE_PX = 16  # of the coarsest layer, which must have more than one position


class Disk(KorniaDetector):
    """Keypoints with unit descriptors of 128 values."""

    dim = 128
    _network: Network

    def bears(self, height: int, width: int) -> bool:
        """Return whether the coarsest layer has more than one position."""
        return max(height, width) > STRIDE_PX

    def find(self, batch: Tensor, max_keypoints: int) -> tuple[Tensor, Tensor]:
        """Find the highest scores, and their descriptors."""
        (features,) = self._network(batch, n=max_keypoints, pad_if_not_divisible=True)
        surest = features.detection_scores.argsort(descending=True, stable=True)
        return features.keypoints[surest], features.descriptors[surest]


def load_detector(setting: str) -> Disk:
    """Load DISK with the weights of the package, see `read_state`."""
    network = Network()
    network.load_state_dict(read_state(DISK, setting)["extractor"])  # type: ignore[arg-type]
    return Disk(network.eval())


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_detector("rerank.method = disk"))
