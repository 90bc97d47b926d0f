"""Stage rerank: the first predictions of each query, ordered by their inliers too."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vpr.reranking.reranking import rerank_candidates
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.predictions import Predictions, load_retrieval, save_predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


@dataclass(frozen=True)
class RerankParams:
    """Parameters of the stage rerank."""

    method: str
    top: Annotated[int, Field(ge=1)]
    half_inliers: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def rerank(*, predictions: Path, verified: Path, reranked: Path) -> None:
    """Order the first predictions of each query by their similarity and their inliers.

    Args:
        predictions: The retrieval.
        verified: Folder of the matches that are inliers; of no query with method none.
        reranked: The ranking to write; with method none a copy of the retrieval.
    """
    params = load_params("rerank", RerankParams)
    with built_aside(reranked) as (aside,):
        if params.method == "none":
            shutil.copyfile(predictions, aside)
            return
        pairs, ranked = load_verified(verified), load_retrieval(predictions)
        _check_candidates(pairs.candidates, ranked, params.top)
        inliers = pairs.inliers[:, : params.top]
        save_predictions(
            aside, rerank_candidates(ranked, inliers, half_inliers=params.half_inliers)
        )


def _check_candidates(candidates: NDArray[np.int64], ranked: Predictions, top: int) -> None:
    depth = candidates.shape[1]
    if not np.array_equal(candidates, ranked.indices[:, :depth]):
        raise ValueError("verified pairs and predictions come from different runs: run `dvc repro`")
    if min(top, ranked.indices.shape[1]) > depth:
        raise ValueError(
            f"params.yaml: rerank.top = {top}: inliers are known of the first {depth} predictions "
            f"alone: set inliers.top = {top} too, or rerank.top = {depth} or less"
        )


if __name__ == "__main__":
    run_stage(rerank)
