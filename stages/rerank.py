"""Stage rerank: the first predictions of each query, verified by geometry."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.reranking.keypoints import load_keypoints
from vpr.reranking.matcher import Geometry, Rules, load_matcher
from vpr.reranking.reranking import rerank_candidates, score_candidates
from vpr.reranking.utility_files import load_kept
from vpr.retrieval.predictions import load_retrieval, save_predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


@dataclass(frozen=True)
class RerankParams:
    """Parameters of the stage rerank."""

    method: str
    top: Annotated[int, Field(ge=1)]
    ratio: Annotated[float, Field(gt=0, le=1)] | None
    geometry: Geometry
    tolerance_px: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    half_inliers: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def rerank(
    *,
    predictions: Path,
    database_keypoints: Path,
    query_keypoints: Path,
    kept: Path,
    reranked: Path,
) -> None:
    """Order the first predictions of each query by the inliers that a matcher finds.

    Args:
        predictions: The retrieval.
        database_keypoints: Folder of the database's keypoints.
        query_keypoints: Folder of the queries' keypoints.
        kept: Which keypoints of the database are looked at.
        reranked: The ranking to write; with method none a copy of the retrieval.
    """
    params = load_params("rerank", RerankParams)
    with built_aside(reranked) as (aside,):
        matcher = load_matcher(params.method)
        if matcher is None:
            shutil.copyfile(predictions, aside)
            return
        ranked, start = load_retrieval(predictions), time.monotonic()
        points = load_keypoints(database_keypoints)
        points = points.only(load_kept(kept, num_keypoints=len(points.points)))
        scores = score_candidates(
            matcher, ranked, points, load_keypoints(query_keypoints),
            top=params.top, rules=Rules(params.ratio, params.geometry, params.tolerance_px),
        )  # fmt: skip
        rate = scores.size / (time.monotonic() - start)
        print(f"re-ranking: {rate:.0f} pairs per second", file=sys.stderr)
        save_predictions(aside, rerank_candidates(ranked, scores, half_inliers=params.half_inliers))


if __name__ == "__main__":
    run_stage(rerank)
