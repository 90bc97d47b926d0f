"""Stage inliers: each query and its first predictions -> their geometrically verified matches."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.keys import matching_key
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.photos import PhotoMatcher, with_photos
from vpr.reranking.params import InliersParams
from vpr.reranking.reranking import Stop
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verification import KnownPairs, hash_points, verify_candidates
from vpr.reranking.verified_pairs import NOTHING, save_verified
from vpr.retrieval.predictions import load_retrieval
from vpr.runtime.artefacts import built_aside
from vpr.runtime.ordered_map import is_over_mixed_cluster
from vpr.runtime.parameters import load_param, load_params
from vpr.runtime.store import open_store


def inliers(
    *,
    predictions: Path,
    database_keypoints: Path,
    query_keypoints: Path,
    kept: Path,
    weights: Path,
    foreign: Path,
    verified: Path,
) -> None:
    """Verify each query against its first predictions, unless re-ranking is off.

    `predictions` is the retrieval; `kept` marks the database keypoints to match; `weights` and
    `foreign` are the folders of the weights and of the code that `rerank.model` may name. With
    method none `verified` has no queries.
    """
    params = load_params("inliers", InliersParams)
    method = load_param("rerank.method", str)
    model = load_param("rerank.model", str | None)  # type: ignore[arg-type] # mypy: no type
    matcher = load_matcher(method, model, Folders(weights, foreign))
    if matcher is None:
        with built_aside(verified) as (aside,):
            save_verified(aside, NOTHING)
        return
    ranked, queries = load_retrieval(predictions), load_keypoints(query_keypoints)
    points = load_keypoints(database_keypoints)
    points = points.only(load_kept(kept, num_keypoints=len(points)))
    seen = hash_points(ranked, points, queries, top=params.top)
    inputs = [predictions]
    named = [] if model is None else [weights, foreign]  # what the matcher itself is made of
    if isinstance(matcher, PhotoMatcher):
        points = with_photos(points, database_keypoints)
        queries = with_photos(queries, query_keypoints)
        inputs += [database_keypoints, query_keypoints]
    stop = Stop(params.stop, load_param("rerank.half_inliers", float))
    make_key = partial(matching_key, matcher, method, model)
    key = make_key(params, stop, seen, inputs=[*inputs, *named])
    store = None if is_over_mixed_cluster() else open_store()
    known = None if store is None else KnownPairs(store, make_key(params.rules, inputs=named))
    with built_aside(verified, key=key) as (aside,):
        pairs = verify_candidates(
            matcher, ranked, points, queries,
            top=params.top, rules=params.rules, stop=stop, known=known,
            saved=aside.with_name("parts"),
        )  # fmt: skip
        save_verified(aside, pairs)


if __name__ == "__main__":
    run_stage(inliers)
