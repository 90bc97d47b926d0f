"""Stage rerank: the first predictions of each query, verified by geometry."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.reranking.candidates import verify_candidates
from vpr.reranking.keypoints import load_keypoints
from vpr.reranking.matcher import Geometry, Rules, load_matcher
from vpr.reranking.reranking import rerank_candidates
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verified_pairs import NOTHING, save_verified
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

    @property
    def rules(self) -> Rules:
        """What a match is."""
        return Rules(self.ratio, self.geometry, self.tolerance_px)


def rerank(
    *,
    predictions: Path,
    database_keypoints: Path,
    query_keypoints: Path,
    kept: Path,
    reranked: Path,
    verified: Path,
) -> None:
    """Order the first predictions of each query by the inliers that a matcher finds.

    Args:
        predictions: The retrieval.
        database_keypoints: Folder of the database's keypoints.
        query_keypoints: Folder of the queries' keypoints.
        kept: Which keypoints of the database are looked at.
        reranked: The ranking to write; with method none a copy of the retrieval.
        verified: Folder of the matches that are inliers, to write; with method none of no query.
    """
    params = load_params("rerank", RerankParams)
    matcher = load_matcher(params.method)
    if matcher is None:
        with built_aside(reranked, verified) as aside:
            shutil.copyfile(predictions, aside[0])
            save_verified(aside[1], NOTHING)
        return
    key = _fingerprint(params, (predictions, database_keypoints, query_keypoints, kept))
    ranked = load_retrieval(predictions)
    points = load_keypoints(database_keypoints)
    points = points.only(load_kept(kept, num_keypoints=len(points.points)))
    with built_aside(reranked, verified, key=key) as aside:
        pairs = verify_candidates(
            matcher, ranked, points, load_keypoints(query_keypoints),
            top=params.top, rules=params.rules, saved=aside[1].with_name("parts"),
        )  # fmt: skip
        save_verified(aside[1], pairs)
        reordered = rerank_candidates(ranked, pairs.inliers, half_inliers=params.half_inliers)
        save_predictions(aside[0], reordered)


def _fingerprint(params: RerankParams, inputs: Sequence[Path]) -> str:
    import torch

    from vpr.runtime.resuming import fingerprint

    return fingerprint(params, inputs=inputs, device=torch.device("cpu"))


if __name__ == "__main__":
    run_stage(rerank)
