"""A set of which one photo changed: the others are found, and the outs are a fresh run's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps

from tests.support.repositories import run, set_key, stages_run

STAGES = ("prepare", "trunk@database")


def test_a_replaced_photo_alone_is_computed_and_outs_are_those_of_a_run_without_a_store(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPR_STORE_GB", "1")
    shutil.copytree(pipeline / "data/sample", pipeline / "data/mine")
    photo = sorted((pipeline / "data/mine/database").iterdir())[3]
    with Image.open(photo) as image:
        ImageOps.mirror(image).save(photo)
    set_key(pipeline, "dataset.dir", "data/mine")
    words = run(pipeline, "dvc", "repro", "-s", *STAGES)
    assert words.count(": 11 of 12 photos were found in the store") == 3
    assert words.count(": 8 of 8 photos were found in the store") == 2
    lock = (pipeline / "dvc.lock").read_text()
    monkeypatch.setenv("VPR_STORE_GB", "0")
    assert "in the store" not in run(pipeline, "dvc", "repro", "-sf", *STAGES)
    assert (pipeline / "dvc.lock").read_text() == lock


@pytest.mark.long
def test_a_recorded_model_keeps_its_clusters_and_whitening_when_a_photo_is_replaced(
    pipeline: Path,
) -> None:
    set_key(pipeline, "finetune.epochs", "0")
    set_key(pipeline, "whiten.dim", "4")
    run(pipeline, "dvc", "repro", "whiten")
    shutil.copytree(pipeline / "data/sample", pipeline / "data/mine")
    model, whitening = pipeline / "models/netvlad/model.pt", pipeline / "models/whitening.npz"
    kept = torch.load(model, weights_only=True)["state_dict"], whitening.read_bytes()
    words = ("models/pretrained/map.pt", "--to", "bare", "--whitening", "models/whitening.npz")
    run(pipeline, "python", "-m", "vpr", "checkpoint", "models/netvlad/model.pt", *words)
    set_key(pipeline, "pretrained.weights", "map.pt")
    ran = stages_run(run(pipeline, "dvc", "repro", "whiten"))
    assert "pretrained" in ran and not {"trunk@database", "trunk@query"} & ran
    for name, tensor in torch.load(model, weights_only=True)["state_dict"].items():
        assert name.startswith("WPCA.") or torch.equal(tensor, kept[0][name])
    assert whitening.read_bytes() == kept[1]

    photo = sorted((pipeline / "data/mine/database").iterdir())[3]
    with Image.open(photo) as image:
        ImageOps.mirror(image).save(photo)
    set_key(pipeline, "dataset.dir", "data/mine")
    pools, whitenings = [], []
    for clusters, origin in (("keep", "from the weights"), ("refit", "by k-means of ")):
        set_key(pipeline, "finetune.clusters", clusters)
        assert origin in run(pipeline, "dvc", "repro", "whiten")
        assert origin in json.loads((model.parent / "metrics.json").read_text())["origin"]
        pools.append(torch.load(model, weights_only=True)["state_dict"]["pool.centroids"])
        whitenings.append(whitening.read_bytes())
    assert torch.equal(pools[0], kept[0]["pool.centroids"]) and not torch.equal(*pools)
    assert whitenings[0] == kept[1] != whitenings[1]  # with other clusters it is not kept
