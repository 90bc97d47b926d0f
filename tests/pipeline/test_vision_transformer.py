"""A vision transformer of timm goes through the whole pipeline, trained from a block on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.repositories import change, copy_repository, run, stages_run
from vpr.features.local_features import load_features

DINO = "vit_small_patch14_dinov2.lvd142m"


@pytest.mark.soak  # each part is tested in tests/encoders/test_timm.py
def test_dinov2_of_random_weights_runs_from_images_to_recall(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    change(folder, "encoder: vgg16", "encoder: timm")
    change(folder, "model: null", f"model: {DINO}")
    change(folder, "trainable_from: conv5_1", "trainable_from: blocks.11")
    run(folder, "dvc", "repro", "evaluate")
    shapes = load_features(folder / "data/trunk/query").shapes
    assert (
        shapes.tolist() == [[3 + 1, 4]] * 8
    )  # patches of 64 x 48 pixels, a row of the class token
    descriptors = np.load(folder / "data/descriptors/database.npy")
    assert descriptors.shape == (12, 4 * 384)
    recall = json.loads((folder / "metrics/recall.json").read_text())
    assert 0 < recall["recall@5"] <= 1
    located = run(folder, "python", "-m", "vpr", "locate", "data/sample/database/0003.jpg")
    assert "1  distance 0.0000" in located and "database/0003.jpg" in located

    features = folder / "data/trunk/query/features/000000.npy"
    first = features.read_bytes()
    assert stages_run(run(folder, "dvc", "repro", "-fs", "trunk@query")) == {"trunk@query"}
    assert features.read_bytes() == first
