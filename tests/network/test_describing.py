"""Streaming from images to descriptors: the bytes of the two stages, and resuming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import stages.extract
from tests.support.streamed_stage import PIXELS, POSITIONS, make_inputs, run_stages
from vpr.features import batches
from vpr.features.local_features import load_features
from vpr.images.image_files import Photo
from vpr.images.known_photos import KnownPhotos
from vpr.network.describing import Network
from vpr.retrieval import descriptors
from vpr.runtime.artefacts import SCRATCH


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow_vgg16: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(batches.PIXELS_PER_BATCH, "cpu", PIXELS)
    monkeypatch.setitem(batches.POSITIONS_PER_BATCH, "cpu", POSITIONS)
    monkeypatch.setattr(descriptors, "SECONDS_BETWEEN_SAVES", 0)
    make_inputs(tmp_path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("store", [0, 5])
def test_streaming_gives_the_bytes_of_stored_features(store: int, precision: str) -> None:
    run_stages("stored", "all", precision)
    assert len(load_features(Path("features")).shapes) == 12
    run_stages("streamed", store, precision)
    assert len(load_features(Path("features")).shapes) == store
    assert Path("streamed.npy").read_bytes() == Path("stored.npy").read_bytes()


@pytest.mark.parametrize("num_rows", [0, 5, 12])
def test_a_killed_stream_resumes_and_gives_the_same_bytes(
    num_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stages("straight", 0)
    whole, begun = stages.extract.describe_unknown, []

    def broken_off(
        network: Network, photos: Sequence[Photo], known: KnownPhotos
    ) -> Iterator[NDArray[np.float32]]:
        begun.append(12 - len(photos))
        rows = whole(network, photos, known)
        if len(begun) > 1:
            yield from rows
            return
        yield from islice(rows, num_rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.extract, "describe_unknown", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run_stages("resumed", 0)
    assert not Path("resumed.npy").exists()
    run_stages("resumed", 0)
    assert begun == [0, num_rows]  # 5 is within a batch of trunk and head
    assert Path("resumed.npy").read_bytes() == Path("straight.npy").read_bytes()
    assert list(SCRATCH.iterdir()) == []


def test_more_features_than_images_are_not_taken_for_theirs() -> None:
    run_stages("stored", "all")
    Path("images/000011.png").unlink()
    streamed = run_stages("fewer", 0)
    assert len(streamed) == 11
