"""DISK's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.matchers.base.learned import LightGlueMatcher, packaged_weights
from vpr.matchers.disk import Disk

WEIGHTS = packaged_weights(
    "pretrained_weights/disk_lightglue.pth",
    "b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335",
)


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    setting = "rerank.method = disk_lightglue"
    return LightGlueMatcher(Disk(setting), WEIGHTS, setting)
