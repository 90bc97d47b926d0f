"""Damaged files of arrays are refused in one message, or hold what their reader promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from tests.support.mat_mutations import change_bytes
from vpr.datasets.tables import parse_name_lists
from vpr.features.local_features import load_features, save_features
from vpr.matchers.base.keypoints import load_keypoints, save_keypoints
from vpr.matchers.base.matcher import LocalPoints
from vpr.places.positives import load_positives, save_positives
from vpr.reranking.utility_files import load_kept
from vpr.retrieval.descriptors import load_descriptors, save_descriptors
from vpr.retrieval.predictions import Predictions, load_retrieval, save_predictions
from vpr.retrieval.whitening import Whitening, load_whitening, save_whitening

INDICES = np.array([[2, 0], [1, 2], [0, 1]])
DISTANCES = np.array([[0.5, 1], [0, 0], [1.5, 2]], dtype=np.float32)


def predictions(path: Path) -> None:
    save_predictions(path, Predictions(INDICES, DISTANCES, 3))


def positives(path: Path) -> None:
    save_positives(path, csr_array(np.array([[3.0, 0, 4], [0, 5, 0]])))


def descriptors(path: Path) -> None:
    save_descriptors(path, [np.eye(4, dtype=np.float32)], num_images=4)


def name_lists(path: Path) -> None:
    (path.parent / "index.txt").write_text("a.jpg\nb.jpg\n")
    (path.parent / "query.txt").write_text("q.jpg\n")
    np.savez(path, utmDb=np.eye(2), utmQ=np.ones((1, 2)), posDistThr=5.0)


def features(path: Path) -> None:
    save_features(path.parents[1], [torch.ones(2, 4, 2, 3)])


def keypoints(path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_keypoints(path.parents[1], [LocalPoints(rows, np.zeros((3, 128), np.uint8), (8, 9))])


def kept(path: Path) -> None:
    np.save(path, np.array([True, False, True]))


def whitening(path: Path) -> None:
    save_whitening(path, Whitening(np.eye(3, 4, dtype=np.float32), np.ones(3, np.float32)))


FILES = {
    "predictions.npz": (predictions, load_retrieval),
    "positives.npz": (positives, load_positives),
    "descriptors.npy": (descriptors, load_descriptors),
    "whitening.npz": (whitening, load_whitening),
    "set.npz": (name_lists, parse_name_lists),
    "trunk/features/000000.npy": (features, lambda path: load_features(path.parents[1])),
    "trunk/shapes/000000.npy": (features, lambda path: load_features(path.parents[1])),
    "keypoints/points/000000.npy": (keypoints, lambda path: load_keypoints(path.parents[1]).of(0)),
    "keypoints/images/000000.npy": (keypoints, lambda path: load_keypoints(path.parents[1])),
    "kept.npy": (kept, lambda path: load_kept(path, num_keypoints=3)),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:.*header:UserWarning")  # numpy reads those of Python 2 too
def test_mutated_files_are_read_or_refused_in_one_message(tmp_path: Path, name: str) -> None:
    write, load = FILES[name]
    file = tmp_path / name
    write(file)
    load(file)
    content, refused = file.read_bytes(), 0
    for number in range(200):
        file.unlink()  # an array that is still mapped must not change
        file.write_bytes(change_bytes(content, np.random.default_rng(number)))
        try:
            load(file)
        except ValueError as error:
            assert str(error).startswith(str(tmp_path))
            assert str(error).isprintable()
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_other_form_is_refused_by_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    FILES[name][0](file)
    other = np.savez if name.endswith(".npy") else np.save
    with file.open("wb") as handle:
        other(handle, np.zeros((2, 2)))  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"{name}: not "):
        FILES[name][1](file)


@pytest.mark.parametrize("wrong", [np.inf, 2.5, -0.1, np.nan])
def test_distances_that_unit_vectors_cannot_have_are_refused(tmp_path: Path, wrong: float) -> None:
    distances = np.array([[0.5, wrong]], dtype=np.float32)
    save_predictions(tmp_path / "p.npz", Predictions(np.array([[0, 1]]), distances, 3))
    with pytest.raises(ValueError, match=r"p\.npz: expected distances"):
        load_retrieval(tmp_path / "p.npz")


def test_objects_are_not_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return print, ("unpickled",)

    evil = np.array([Evil()], dtype=object)
    np.savez(tmp_path / "p.npz", indices=evil, distances=evil, num_database=evil)
    np.save(tmp_path / "d.npy", evil)
    for load, name in ((load_retrieval, "p.npz"), (load_descriptors, "d.npy")):
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name)
    assert "unpickled" not in capsys.readouterr().out


def test_a_compressed_array_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpr.runtime.npz.MAX_BYTES", 2**16)
    file = tmp_path / "set.npz"
    np.savez_compressed(file, utmDb=np.zeros((2**14, 2)), utmQ=np.ones((1, 2)), posDistThr=5.0)
    with pytest.raises(ValueError, match="unpacks to 262,272 bytes"):
        parse_name_lists(file)
