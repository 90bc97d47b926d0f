"""A run that stores the features of few images: what it refuses."""

from __future__ import annotations

from pathlib import Path

from tests.support.repositories import change, run


def test_clusters_and_utility_ask_for_all_features(pipeline: Path) -> None:
    change(pipeline, "store: all", "store: 11")
    change(pipeline, "method: none", "method: sift")
    change(pipeline, "keep: all", "keep: both")
    words = run(
        pipeline, "dvc", "repro", "-s", "trunk@database", "keypoints@database", "utility", code=255
    )
    assert "features of 11 of 12 database images are stored: set trunk.store to all" in words

    change(pipeline, "store: 11", "store: 0")
    run(pipeline, "dvc", "repro", "-s", "trunk@database")
    words = run(pipeline, "dvc", "repro", "-s", "finetune", code=255)
    assert "trunk.store = 0: clusters are found in stored features" in words
