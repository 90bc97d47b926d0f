"""Streaming from images to descriptors: the bytes of the two stages, and resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import stages.extract
from stages.extract import extract
from stages.trunk import trunk
from vpr.encoders.vgg16 import random_weights
from vpr.features import batches
from vpr.features.model import Model, load_model, save_model
from vpr.network.head import load_head
from vpr.network.netvlad import NetVLAD
from vpr.retrieval import descriptors
from vpr.runtime.artefacts import SCRATCH

SIZES = [(48, 32)] * 7 + [(32, 64)] * 3 + [(48, 32)] * 2
# The trunk takes 3 and 2 of these at once, the head 4 and 3: neither is a multiple of the other.
PIXELS, POSITIONS = 3 * 48 * 32, 4 * 6


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(batches.PIXELS_PER_BATCH, "cpu", PIXELS)
    monkeypatch.setitem(batches.POSITIONS_PER_BATCH, "cpu", POSITIONS)
    monkeypatch.setattr(descriptors, "SECONDS_BETWEEN_SAVES", 0)
    Path("env.yaml").write_text(f"torch: {torch.__version__.split('+')[0]}\n")
    rng = np.random.default_rng(0)
    Path("images").mkdir()
    for number, (width, height) in enumerate(SIZES):
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"images/{number:06d}.png")
    state = random_weights(0) | {
        "pool.conv.weight": torch.randn(4, 512, 1, 1), "pool.centroids": torch.rand(4, 512)
    }  # fmt: skip
    model = Model("vgg16", None, "conv5_1", state)
    save_model(Path("model.pt"), model)
    save_model(Path("frozen.pt"), model.parts()[0])
    assert isinstance(load_head(load_model(Path("model.pt"))).pool, NetVLAD)


def run(name: str, store: str | int, precision: str = "bfloat16") -> NDArray[np.float32]:
    Path("params.yaml").write_text(
        "trunk: {encoder: vgg16, model: null, trainable_from: conv5_1, max_side_px: null, "
        f"image_size: null, precision: {precision}, store: {json.dumps(store)}}}\n"
    )
    trunk(images=Path("images"), frozen=Path("frozen.pt"), features=Path("features"))
    extract(
        features=Path("features"), images=Path("images"), model=Path("model.pt"),
        descriptors=Path(f"{name}.npy"),
    )  # fmt: skip
    return np.load(f"{name}.npy")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("store", [0, 5])
def test_streaming_gives_the_bytes_of_stored_features(store: int, precision: str) -> None:
    run("stored", "all", precision)
    assert len(np.load("features/shapes.npy")) == 12
    run("streamed", store, precision)
    assert len(np.load("features/shapes.npy")) == store
    assert Path("streamed.npy").read_bytes() == Path("stored.npy").read_bytes()


@pytest.mark.parametrize("num_blocks", [0, 1, 2, 3, 4])
def test_a_killed_stream_resumes_and_gives_the_same_bytes(
    num_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("straight", 0)
    whole, begun = stages.extract.stream_descriptors, []

    def broken_off(*args: object, done: int, **options: object) -> Iterator[NDArray[np.float32]]:
        begun.append(done)
        found = whole(*args, done=done, **options)  # type: ignore[arg-type]
        for number, block in enumerate(found):
            if len(begun) == 1 and number == num_blocks:
                raise KeyboardInterrupt
            yield block
        if len(begun) == 1:
            raise KeyboardInterrupt  # all done, not yet in place

    monkeypatch.setattr(stages.extract, "stream_descriptors", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run("resumed", 0)
    assert not Path("resumed.npy").exists()
    run("resumed", 0)
    assert begun == [0, [0, 4, 7, 10, 12][num_blocks]]  # the head's batches: 4, 3, 3 and 2
    assert Path("resumed.npy").read_bytes() == Path("straight.npy").read_bytes()
    assert list(SCRATCH.iterdir()) == []


def test_more_features_than_images_are_not_taken_for_theirs() -> None:
    run("stored", "all")
    Path("images/000011.png").unlink()
    streamed = run("fewer", 0)
    assert len(streamed) == 11
