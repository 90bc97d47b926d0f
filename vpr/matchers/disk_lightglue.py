"""DISK's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.matchers.base.lightglue import LightGlueMatcher, load_lightglue
from vpr.matchers.base.package_weights import DISK_LIGHTGLUE
from vpr.matchers.disk import load_disk

SETTING = "rerank.method = disk_lightglue"


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return LightGlueMatcher(load_disk(SETTING), load_lightglue(DISK_LIGHTGLUE, SETTING))
