"""Every layer of the encoder trains, from images to recall, and locate describes alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.support.repositories import change, run
from vpr.features.local_features import load_features
from vpr.features.model import load_model


@pytest.mark.soak  # each part is tested where it is: tests/network/test_every_layer_trains.py
def test_the_first_layer_trains_and_a_photo_is_located(pipeline: Path) -> None:
    change(pipeline, "trainable_from: conv5_1", "trainable_from: all")
    run(pipeline, "dvc", "repro", "evaluate")
    assert load_features(pipeline / "data/trunk/query").shapes.tolist() == [[48, 64]] * 8
    start = load_model(pipeline / "models/initial/trainable.pt").tensors
    trained = load_model(pipeline / "models/netvlad/model.pt").tensors
    assert not torch.equal(start["encoder.0.weight"], trained["encoder.0.weight"])
    recall = json.loads((pipeline / "metrics/recall.json").read_text())
    assert 0 < recall["recall@5"] <= 1
    located = run(pipeline, "python", "-m", "vpr", "locate", "data/sample/database/0003.jpg")
    assert "1  distance 0.0000" in located and "database/0003.jpg" in located
