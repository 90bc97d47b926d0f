"""An encoder or a matcher is one new file: others' stages stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.repositories import change, run, stages_run

PATCHES = '''
"""Patches of 8 x 8 grey pixels, mixed by a layer that can train."""

from collections import OrderedDict

import torch
from torch import nn


class Grey(nn.Module):
    def forward(self, pixels):
        grey = pixels.float().mean(dim=3, keepdim=True).permute(0, 3, 1, 2) / 255
        return nn.functional.pixel_unshuffle(grey, 8)


class Patches:
    origin = "a test's"
    weights = ("random",)
    splits = ("mix", "pool")
    num_scales = 1
    values_per_pixel = 4

    def layers(self, first, last):
        every = {"grey": Grey(), "mix": nn.Conv2d(64, 64, 1)}
        return nn.Sequential(OrderedDict(list(every.items())[first:last]))

    def frozen(self, split):
        return self.layers(0, 1 if split == "mix" else 2)

    def trainable(self, split):
        return self.layers(1 if split == "mix" else 2, 2)

    def canonical(self, name):
        return name

    def fold(self, frozen):
        pass

    def map_shape(self, split, height_px, width_px):
        return 64, height_px // 8, width_px // 8

    def initial_state(self, weights, seed):
        weight, bias = torch.eye(64)[:, :, None, None], torch.zeros(64)
        return {"encoder.mix.weight": weight, "encoder.mix.bias": bias}, "the identity"


def make_encoder(variant):
    return Patches()
'''

COLOURS = '''
"""Mean colours of a grid, matched where they are alike."""

import numpy as np

from vpr.matchers.base.matcher import LocalPoints, Verified


class Colours:
    def detect(self, pixels, *, max_keypoints):
        rows, columns = (size // 16 for size in pixels.shape[:2])
        cells = pixels[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16, 3)
        means = cells.mean(axis=(1, 3)).reshape(-1, 3).astype(np.float32)
        points = np.stack(np.mgrid[:rows, :columns], axis=-1).reshape(-1, 2).astype(np.float32)
        return LocalPoints(points, means, pixels.shape[:2])

    def verify(self, query, database, rules):
        apart = np.abs(query.descriptors - database.descriptors).max(axis=1)
        alike = np.flatnonzero(apart < 20)
        return Verified(np.stack([alike, alike], axis=1), len(apart))


def make_matcher():
    return Colours()
'''


def test_a_new_matcher_and_a_new_encoder_are_one_file_each_and_going_back_runs_no_stage(
    pipeline: Path,
) -> None:
    (pipeline / "vpr/matchers/colours.py").write_text(COLOURS)
    (pipeline / "vpr/encoders/patches.py").write_text(PATCHES)
    assert "up to date" in run(pipeline, "dvc", "status")

    change(pipeline, "method: none", "method: colours")
    change(pipeline, "half_inliers: 20.0", "half_inliers: 2.0")
    ran = stages_run(run(pipeline, "dvc", "repro", "order"))
    assert {"keypoints@database", "keypoints@query", "inliers", "order"} <= ran
    assert not ran & {"pretrained", "trunk@database", "finetune", "extract_db", "search"}

    change(pipeline, "method: colours", "method: none")
    change(pipeline, "encoder: vgg16", "encoder: patches")
    change(pipeline, "trainable_from: conv5_1", "trainable_from: mix")
    change(pipeline, "aggregator: netvlad", "aggregator: gem")
    change(pipeline, "descriptor_dim: null", "descriptor_dim: 16")
    words = run(pipeline, "dvc", "repro", "search")
    ran = stages_run(words)
    assert {"pretrained", "trunk@database", "trunk@query", "finetune", "search"} <= ran
    assert "-> 16 dimensions" in words and "epoch 1: loss" in words
    assert np.load(pipeline / "data/descriptors/query.npy").shape == (8, 16)
    photo = ("data/sample/database/0003.jpg", "--html", "page.html")
    located = run(pipeline, "python", "-m", "vpr", "locate", *photo)
    assert "1  distance 0.0000" in located and "database/0003.jpg" in located
    assert "clusters respond" not in (pipeline / "page.html").read_text(encoding="utf-8")

    change(pipeline, "aggregator: gem", "aggregator: none")
    words = run(pipeline, "dvc", "repro", "-s", "finetune", code=255)
    assert "descriptor_dim = 16: aggregator = none leaves" in words
    # Back as README says.
    run(pipeline, "git", "checkout", "params.yaml", "dvc.lock", "metrics")
    run(pipeline, "dvc", "checkout")
    assert stages_run(run(pipeline, "dvc", "repro")) == set()


def test_an_encoder_that_is_not_there_is_told_before_a_stage_runs(pipeline: Path) -> None:
    change(pipeline, "encoder: vgg16", "encoder: efficientnet")
    words = run(pipeline, "python", "-m", "vpr", "doctor", "--quick", code=1)
    assert "trunk.encoder = efficientnet: there is no file vpr/encoders/efficientnet.py" in words
    assert "did you mean efficientnet_lite?" in words and "Traceback" not in words
