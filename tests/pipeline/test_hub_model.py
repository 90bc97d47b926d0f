"""A model of torch.hub goes from a local folder into the stored features, by leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.repositories import change, copy_repository, run, stages_run

HUBCONF = """
import torch
from torch import nn


class Colours(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mix = nn.Linear(3, dim)

    def forward(self, images):
        return nn.functional.normalize(self.mix(images.mean(dim=(2, 3))))


def colours(dim):
    torch.manual_seed(3)
    return Colours(dim)
"""


def test_a_local_model_describes_images_again_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_repository(tmp_path / "repo")
    model = tmp_path / "model"
    model.mkdir()
    (model / "hubconf.py").write_text(HUBCONF)
    change(folder, "encoder: vgg16", "encoder: hub")
    change(folder, "model: null", f"model: {model}:colours(dim=6)@32x32")
    change(folder, "weights: random", "weights: pretrained")
    change(folder, "trainable_from: conv5_1", "trainable_from: pool")
    monkeypatch.delenv("VPR_ALLOW_HUB", raising=False)
    words = run(folder, "dvc", "repro", "pretrained", code=255)
    assert f"would run foreign code, {model}/hubconf.py" in words

    monkeypatch.setenv("VPR_ALLOW_HUB", "1")
    words = run(folder, "dvc", "repro", "trunk_query")
    assert {"pretrained", "trunk_query"} <= stages_run(words)
    assert f"running foreign code: {model}/hubconf.py, colours" in words
    features = folder / "data/trunk/query/features.npy"
    assert np.load(features).shape == (8, 6)
    first = features.read_bytes()
    assert stages_run(run(folder, "dvc", "repro", "-fs", "trunk_query")) == {"trunk_query"}
    assert features.read_bytes() == first
