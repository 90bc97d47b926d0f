"""Whitening decorrelates the database, and agrees with the reference's 1x1 convolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stages.whiten import whiten
from vpr.features.model import Model, save_model
from vpr.retrieval.descriptors import save_descriptors
from vpr.retrieval.params import WhitenParams
from vpr.retrieval.whitening import (
    find_whitening,
    fit_whitening,
    load_whitening,
    save_whitening,
    whiten_rows,
    whitening_state,
)
from vpr.runtime.parameters import load_params

RNG = np.random.default_rng(0)


def unit_rows(count: int, dim: int) -> np.ndarray:
    rows = RNG.normal(size=(count, dim)) * np.linspace(1, 4, dim) + 0.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("shape", [(300, 12), (20, 60)])
def test_the_database_is_white_before_its_rows_are_scaled(shape: tuple[int, int]) -> None:
    rows = unit_rows(*shape)
    fitted = fit_whitening(rows, dim=8)
    mapped = rows @ fitted.weight.T + fitted.bias
    np.testing.assert_allclose(mapped.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(mapped.T), np.eye(8), atol=1e-3)


def test_it_keeps_the_directions_of_largest_variance() -> None:
    rows = unit_rows(200, 6)
    variances = np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1]
    fitted = fit_whitening(rows, dim=3)
    lengths = 1 / np.linalg.norm(fitted.weight, axis=1) ** 2
    np.testing.assert_allclose(lengths, variances[:3], rtol=1e-3)


def test_rows_equal_the_references_convolution() -> None:
    rows, fitted = unit_rows(50, 10), fit_whitening(unit_rows(50, 10), dim=4)
    state = whitening_state(fitted)
    conv = torch.nn.Conv2d(10, 4, 1)
    conv.load_state_dict({"weight": state["WPCA.0.weight"], "bias": state["WPCA.0.bias"]})
    with torch.inference_mode():
        theirs = torch.nn.functional.normalize(
            conv(torch.from_numpy(rows)[:, :, None, None]).flatten(1)
        )
    ours = np.concatenate(list(whiten_rows(rows, fitted)))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_a_models_own_whitening_is_found_and_cut_or_has_the_bytes_of_the_fitted(
    tmp_path: Path,
) -> None:
    fitted = fit_whitening(unit_rows(50, 10), dim=4)
    for name, whitening in (("a", fitted), ("b", find_whitening(whitening_state(fitted), dim=4))):
        save_whitening(tmp_path / name, whitening)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = find_whitening(whitening_state(fitted), dim=3)
    assert found is not None
    np.testing.assert_array_equal(found.weight, fitted.weight[:3])
    np.testing.assert_array_equal(found.bias, fitted.bias[:3])
    assert find_whitening({}, dim=3) is None
    with pytest.raises(ValueError, match=r"whiten\.dim = 5: the weights bring.* 4 dimensions"):
        find_whitening(whitening_state(fitted), dim=5)


def test_more_directions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"whiten\.dim = 20: 20 database descriptors.* most 19"):
        fit_whitening(unit_rows(20, 60), dim=20)
    with pytest.raises(ValueError, match="no spread"):
        fit_whitening(np.repeat(unit_rows(3, 60), 10, axis=0), dim=5)


def test_off_passes_the_descriptors_through(pipeline: Path) -> None:
    for side in ("database", "query"):
        before = (pipeline / f"data/descriptors/{side}.npy").read_bytes()
        assert (pipeline / f"data/whitened/{side}.npy").read_bytes() == before
    assert load_whitening(pipeline / "models/whitening.npz") is None


def test_the_stage_takes_the_weights_own_whitening_unless_it_is_to_fit_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {side: unit_rows(30, 10) for side in ("database", "query")}
    for side, block in rows.items():
        save_descriptors(Path(f"{side}.npy"), [block], num_images=30)
    theirs = {"WPCA.0.weight": torch.randn(4, 10, 1, 1), "WPCA.0.bias": torch.randn(4)}
    for model, directions, used in (
        (theirs, "keep", theirs), ({}, "keep", None), (theirs, "refit", None),
    ):  # fmt: skip
        Path("params.yaml").write_text(f"whiten:\n  dim: 3\n  directions: {directions}\n")
        save_model(Path("model.pt"), Model("vgg16", None, "pool", model))
        whiten(
            database=Path("database.npy"), query=Path("query.npy"), model=Path("model.pt"),
            whitening=Path("w.npz"), whitened_database=Path("d.npy"), whitened_query=Path("q.npy"),
        )  # fmt: skip
        written = load_whitening(Path("w.npz"))
        assert written is not None
        weight, bias = written.weight, written.bias
        if used:
            np.testing.assert_array_equal(weight, used["WPCA.0.weight"][:3, :, 0, 0].numpy())
        else:  # fitted on the database: its covariance becomes the identity
            np.testing.assert_allclose(np.cov(weight @ rows["database"].T), np.eye(3), atol=1e-3)
        for side, out in (("database", "d.npy"), ("query", "q.npy")):
            mapped = rows[side] @ weight.T + bias
            expected = mapped / np.linalg.norm(mapped, axis=1, keepdims=True)
            np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


def test_one_dimension_in_which_all_descriptors_are_alike_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("whiten:\n  dim: 1\n  directions: keep\n")
    with pytest.raises(ValueError, match=r"dim = 1: every unit descriptor .* 1 or -1: set it to 0"):
        load_params("whiten", WhitenParams, path=file)
    file.write_text("whiten:\n  dim: 2\n  directions: keep\n")
    assert load_params("whiten", WhitenParams, path=file).dim == 2
