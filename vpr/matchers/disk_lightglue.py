"""DISK's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.matchers.base.lightglue import LightGlueMatcher, match_by_lightglue


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return match_by_lightglue("disk")
