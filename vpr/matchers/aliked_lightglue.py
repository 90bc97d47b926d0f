"""ALIKED's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.matchers.aliked import load_aliked
from vpr.matchers.base.lightglue import LightGlueMatcher, load_lightglue
from vpr.matchers.base.package_weights import ALIKED_LIGHTGLUE

SETTING = "rerank.method = aliked_lightglue"


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return LightGlueMatcher(load_aliked(SETTING), load_lightglue(ALIKED_LIGHTGLUE, SETTING))
