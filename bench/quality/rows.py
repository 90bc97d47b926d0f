"""One row of the table of results: a run, its ranks, and the costs per query and image."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from bench.shared.trials import run_stages
from stages.extract import extract
from stages.inliers import inliers
from stages.keypoints import keypoints
from stages.order import rerank, sequence
from stages.search import search
from stages.trunk import trunk
from vpr.evaluation.recall import first_correct_ranks
from vpr.places.positives import load_positives
from vpr.retrieval.predictions import load_predictions
from vpr.runtime.store import LIMIT


@dataclass(frozen=True)
class Measured:
    """One row of the table.

    Args:
        ranks: Rank of the first positive of each query, from 1.
        seconds: Seconds per query, from its image to its ranking.
        num_bytes: Bytes that the database keeps per image for search.
    """

    ranks: NDArray[np.int64]
    seconds: float
    num_bytes: float


def measure(clone: Path, parameters: dict[str, object]) -> Measured:
    """Run the pipeline with these parameters, and time its query side once more without DVC."""
    run_stages(clone, parameters, "order")
    with contextlib.chdir(clone):
        ranked = load_predictions(Path("data/sequenced.npz"))
        ranks = first_correct_ranks(
            ranked.indices, load_positives(Path("data/prepared/positives.npz"))
        )
        descriptors = np.load("data/whitened/database.npy", mmap_mode="r")
        stored = descriptors.nbytes
        if parameters.get("rerank.method", "none") != "none":
            sizes = json.loads(Path("data/utility/metrics.json").read_text())
            stored += sizes["keypoint_bytes"] - sizes["keypoint_bytes_saved"]
        with mock.patch.dict(os.environ, {LIMIT: "0"}):  # pairs are verified, not found again
            seconds = _time_query_side(Path("bench-again"))
    return Measured(ranks, seconds / len(ranks), stored / len(descriptors))


def _time_query_side(again: Path) -> float:
    images, data = Path("data/images/query"), Path("data")
    start = time.perf_counter()
    trunk(images=images, frozen=Path("models/initial/frozen.pt"), features=again / "features")
    extract(
        features=again / "features", images=images, model=Path("models/netvlad/model.pt"),
        descriptors=again / "query.npy",
    )  # fmt: skip
    whitened = {side: data / "whitened" / f"{side}.npy" for side in ("database", "query")}
    search(
        **whitened, index=data / "index", predictions=again / "predictions.npz",
        index_recall=again / "index_recall.json",
    )  # fmt: skip
    folders = {"weights": Path("models/matchers"), "foreign": Path("models/foreign")}
    keypoints(images=images, weights=folders["weights"], keypoints=again / "keypoints")
    inliers(
        predictions=again / "predictions.npz", database_keypoints=data / "keypoints" / "database",
        query_keypoints=again / "keypoints", kept=data / "utility" / "kept.npy",
        **folders, verified=again / "verified",
    )  # fmt: skip
    rerank(
        predictions=again / "predictions.npz", verified=again / "verified",
        reranked=again / "reranked.npz",
    )  # fmt: skip
    sequence(
        predictions=again / "reranked.npz", verified=again / "verified",
        database_descriptors=whitened["database"], query_descriptors=whitened["query"],
        database=data / "prepared" / "database.csv", query=data / "prepared" / "query.csv",
        radius=data / "prepared" / "radius.json", sequenced=again / "sequenced.npz",
        estimates=again / "estimates.csv",
    )  # fmt: skip
    return time.perf_counter() - start
