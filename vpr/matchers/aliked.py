"""ALIKED's keypoints, learned, matched mutually and verified by one geometry."""

from __future__ import annotations

from vpr.reranking.learned.aliked import load_aliked
from vpr.reranking.learned.mutual import MutualMatcher


def make_matcher() -> MutualMatcher:
    """Make the matcher with the weights of the package, which is not imported."""
    return MutualMatcher(load_aliked("rerank.method = aliked"))
