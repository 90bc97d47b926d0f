"""A run that searches by an approximate index: what runs, and locate by the same index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.repositories import change, run, stages_run
from vpr.retrieval.predictions import load_predictions

pytestmark = pytest.mark.long


def test_an_index_is_built_once_and_locate_searches_by_it(pipeline: Path) -> None:
    exact = load_predictions(pipeline / "data/predictions.npz")
    change(pipeline, "index: exact", "index: IVF2,Flat")
    change(pipeline, "nprobe: 64", "nprobe: 1")
    ran = stages_run(run(pipeline, "dvc", "repro", "order"))
    assert {"index", "search"} <= ran and "whiten" not in ran
    ranked = load_predictions(pipeline / "data/predictions.npz")
    assert not np.array_equal(ranked.indices, exact.indices)  # one list of two is looked at
    metrics = json.loads(run(pipeline, "dvc", "metrics", "show", "--json"))
    compared = metrics[""]["data"]["data/index_recall.json"]["data"]
    agree = np.mean(ranked.indices[:, 0] == exact.indices[:, 0])
    assert compared["index_recall@1"] == agree and compared["num_queries"] == 8

    words = run(pipeline, "python", "-m", "vpr", "locate", "data/sample/queries", "--json")
    found = json.loads(words[words.index("[\n") : words.index("\n]\n") + 2])
    images = [[match["image"] for match in photo["matches"]] for photo in found]
    assert images == ranked.indices[:, :5].tolist()

    change(pipeline, "nprobe: 1", "nprobe: 2")
    ran = stages_run(run(pipeline, "dvc", "repro", "search"))
    assert ran == {"search"}
    both = load_predictions(pipeline / "data/predictions.npz")
    np.testing.assert_array_equal(both.indices, exact.indices)


def test_an_index_that_cannot_be_trained_is_one_message(pipeline: Path) -> None:
    change(pipeline, "index: exact", "index: IVF4096,PQ64x4fs")
    words = run(pipeline, "dvc", "repro", code=255)
    assert (
        "index: error: params.yaml: search.index = IVF4096,PQ64x4fs: k-means of 4096 centroids "
        "needs at least as many images; for 12 descriptors of 2048 dimensions exact would do"
    ) in words
