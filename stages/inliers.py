"""Stage inliers: each query and its first predictions -> their geometrically verified matches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import load_matcher, uses_gpu
from vpr.reranking.params import InliersParams
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verification import verify_candidates
from vpr.reranking.verified_pairs import NOTHING, save_verified
from vpr.retrieval.predictions import load_retrieval
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params


def inliers(
    *,
    predictions: Path,
    database_keypoints: Path,
    query_keypoints: Path,
    kept: Path,
    verified: Path,
) -> None:
    """Verify each query against its first predictions, unless re-ranking is off.

    `predictions` is the retrieval; `kept` marks the database keypoints to match. With method none
    `verified` has no queries.
    """
    params = load_params("inliers", InliersParams)
    method = load_param("rerank.method", str)
    matcher = load_matcher(method)
    if matcher is None:
        with built_aside(verified) as (aside,):
            save_verified(aside, NOTHING)
        return
    inputs = (predictions, database_keypoints, query_keypoints, kept)
    key = _fingerprint(params, method, inputs, on_gpu=uses_gpu(matcher))
    ranked = load_retrieval(predictions)
    points = load_keypoints(database_keypoints)
    points = points.only(load_kept(kept, num_keypoints=len(points.points)))
    with built_aside(verified, key=key) as (aside,):
        pairs = verify_candidates(
            matcher, ranked, points, load_keypoints(query_keypoints),
            top=params.top, rules=params.rules, saved=aside.with_name("parts"),
        )  # fmt: skip
        save_verified(aside, pairs)


def _fingerprint(
    params: InliersParams, method: str, inputs: Sequence[Path], *, on_gpu: bool
) -> str:
    import torch

    from vpr.runtime.resuming import fingerprint

    return fingerprint(
        params, method, inputs=inputs, device=torch.device("cuda" if on_gpu else "cpu")
    )


if __name__ == "__main__":
    run_stage(inliers)
