"""A run that stores the features of few images: the same descriptors, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.repositories import change, run, set_key, stages_run


def test_a_run_with_few_stored_features_has_the_same_descriptors(pipeline: Path) -> None:
    change(pipeline, "aggregator: netvlad", "aggregator: gem")  # whose start needs no features
    set_key(pipeline, "finetune.epochs", "0")
    run(pipeline, "dvc", "repro", "search")
    sides = ("database", "query")
    stored = {side: (pipeline / f"data/descriptors/{side}.npy").read_bytes() for side in sides}
    for store, num_features in (("2", 2), ("0", 0)):
        change(pipeline, "store: all" if store == "2" else "store: 2", f"store: {store}")
        words = run(pipeline, "dvc", "repro", "search")
        assert {"trunk@database", "trunk@query", "extract_db"} <= stages_run(words)
        assert "training uses the first" in words and ", not stored" in words
        for side in sides:
            assert len(np.load(pipeline / f"data/trunk/{side}/shapes.npy")) == num_features
            assert (pipeline / f"data/descriptors/{side}.npy").read_bytes() == stored[side]

    change(pipeline, "aggregator: gem", "aggregator: netvlad")
    words = run(pipeline, "dvc", "repro", "search", code=255)
    assert "trunk.store = 0: clusters are found in stored features" in words


def test_utility_asks_for_all_features(pipeline: Path) -> None:
    change(pipeline, "store: all", "store: 11")
    change(pipeline, "method: none", "method: sift")
    change(pipeline, "keep: all", "keep: both")
    words = run(pipeline, "dvc", "repro", "utility", code=255)
    assert "features of 11 of 12 database images are stored: set trunk.store to all" in words
