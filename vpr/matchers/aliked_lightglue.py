"""ALIKED's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.matchers.aliked import Aliked
from vpr.matchers.base.learned import LightGlueMatcher, packaged_weights

WEIGHTS = packaged_weights(
    "pretrained_weights/aliked_lightglue.pth",
    "d975e965b105311a6143194852297dff4f02aea5cc2e10cecfed966ca0e22503",
)


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    setting = "rerank.method = aliked_lightglue"
    return LightGlueMatcher(Aliked(setting), WEIGHTS, setting)
