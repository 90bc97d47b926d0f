"""A published model goes whole through the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.hub_model import write_hub_model
from tests.support.repositories import change, copy_repository, run


def mixed_colours(images: Path, dim: int) -> np.ndarray:
    """What the model of `write_hub_model` makes of images, by its formula."""
    torch.manual_seed(3)
    mix = torch.nn.Linear(3, dim)
    files = sorted(images.iterdir())
    colours = [np.asarray(Image.open(file)).mean(axis=(0, 1)) / 255 for file in files]
    normal = (np.array(colours) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    mixed = mix(torch.from_numpy(normal / np.sqrt(1 + 1e-5)).float()).detach().numpy()
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


@pytest.mark.soak  # each part is tested in tests/encoders/test_hub.py
def test_a_model_of_torch_hub_describes_images_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_hub_model(model)
    folder = tmp_path / "repo"
    folder.mkdir()
    copy_repository(folder)
    change(folder, "weights: random", "weights: pretrained")
    change(folder, "encoder: vgg16", "encoder: hub")
    change(folder, "model: null", f"model: {model}:colours(dim=16)")
    change(folder, "trainable_from: conv5_1", "trainable_from: pool")
    change(folder, "precision: bfloat16", "precision: float32")
    change(folder, "aggregator: netvlad", "aggregator: none")
    assert "VPR_ALLOW_HUB=1" in run(folder, "dvc", "repro", "evaluate", code=255)
    monkeypatch.setenv("VPR_ALLOW_HUB", "1")
    assert "there is nothing to train" in run(folder, "dvc", "repro", "evaluate", code=255)
    change(folder, "\n  epochs: 1 ", "\n  epochs: 0 ")
    run(folder, "dvc", "repro", "evaluate")
    descriptors = folder / "data/descriptors/query.npy"
    first = np.load(descriptors)
    assert first.shape == (8, 16)
    np.testing.assert_allclose(first, mixed_colours(folder / "data/images/query", 16), atol=1e-5)
    run(folder, "dvc", "repro", "-fs", "trunk@query", "extract_query")
    np.testing.assert_array_equal(np.load(descriptors), first)
    located = run(folder, "python", "-m", "vpr", "locate", "data/sample/database/0003.jpg")
    assert "1  distance 0.0000" in located and "database/0003.jpg" in located
