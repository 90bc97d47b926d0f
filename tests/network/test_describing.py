"""Streaming from images to descriptors: the bytes of the two stages, and resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import stages.extract
from tests.support.streamed_stage import PIXELS, POSITIONS, make_inputs, run_stages
from vpr.features import batches
from vpr.network.describing import Described
from vpr.retrieval import descriptors
from vpr.runtime.artefacts import SCRATCH


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(batches.PIXELS_PER_BATCH, "cpu", PIXELS)
    monkeypatch.setitem(batches.POSITIONS_PER_BATCH, "cpu", POSITIONS)
    monkeypatch.setattr(descriptors, "SECONDS_BETWEEN_SAVES", 0)
    make_inputs(tmp_path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("store", [0, 5])
def test_streaming_gives_the_bytes_of_stored_features(store: int, precision: str) -> None:
    run_stages("stored", "all", precision)
    assert len(np.load("features/shapes.npy")) == 12
    run_stages("streamed", store, precision)
    assert len(np.load("features/shapes.npy")) == store
    assert Path("streamed.npy").read_bytes() == Path("stored.npy").read_bytes()


@pytest.mark.parametrize("num_blocks", [0, 1, 2, 3, 4])
def test_a_killed_stream_resumes_and_gives_the_same_bytes(
    num_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stages("straight", 0)
    whole, begun = stages.extract.describe_photos, []

    def broken_off(*args: object, done: int, **options: object) -> Iterator[Described]:
        begun.append(done)
        found = whole(*args, done=done, **options)  # type: ignore[arg-type]
        for number, block in enumerate(found):
            if len(begun) == 1 and number == num_blocks:
                raise KeyboardInterrupt
            yield block
        if len(begun) == 1:
            raise KeyboardInterrupt  # all done, not yet in place

    monkeypatch.setattr(stages.extract, "describe_photos", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run_stages("resumed", 0)
    assert not Path("resumed.npy").exists()
    run_stages("resumed", 0)
    assert begun == [0, [0, 4, 7, 10, 12][num_blocks]]  # the head's batches: 4, 3, 3 and 2
    assert Path("resumed.npy").read_bytes() == Path("straight.npy").read_bytes()
    assert list(SCRATCH.iterdir()) == []


def test_more_features_than_images_are_not_taken_for_theirs() -> None:
    run_stages("stored", "all")
    Path("images/000011.png").unlink()
    streamed = run_stages("fewer", 0)
    assert len(streamed) == 11
