"""A set of which one photo changed: the others are found, and the outs are a fresh run's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.support.repositories import run, set_key

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
