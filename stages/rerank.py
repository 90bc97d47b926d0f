"""Stage rerank: the first predictions of each query, ordered by their inliers too."""

from __future__ import annotations

import shutil
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.reranking.params import RerankParams
from vpr.reranking.reranking import rerank as rerank_predictions
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.predictions import load_retrieval, save_predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


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
        ranked = load_retrieval(predictions)
        order = rerank_predictions(
            ranked, load_verified(verified), top=params.top, half_inliers=params.half_inliers
        )
        save_predictions(aside, order)


if __name__ == "__main__":
    run_stage(rerank)
