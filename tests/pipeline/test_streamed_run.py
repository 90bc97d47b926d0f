"""A run that stores the features of few images: what it refuses."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.pipeline.test_declarations import STAGES
from tests.support.repositories import change, run


def run_stage(pipeline: Path, name: str, *, code: int = 0) -> str:
    """Run a stage's command, of the database where there are two."""
    command = STAGES[name]["cmd"].replace("${item.side}", "database")
    return run(pipeline, *shlex.split(command), code=code)


def test_clusters_and_utility_ask_for_all_features(pipeline: Path) -> None:
    change(pipeline, "store: all", "store: 11")
    change(pipeline, "method: none", "method: sift")
    change(pipeline, "keep: all", "keep: both")
    for stage in ("trunk", "keypoints"):
        run_stage(pipeline, stage)
    words = run_stage(pipeline, "utility", code=1)
    assert "features of 11 of 12 database images are stored: set trunk.store to all" in words

    change(pipeline, "store: 11", "store: 0")
    run_stage(pipeline, "trunk")
    words = run_stage(pipeline, "finetune", code=1)
    assert "trunk.store = 0: clusters are found in stored features" in words
