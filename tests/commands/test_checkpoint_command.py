"""`python -m vpr checkpoint`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vpr.__main__ import app
from vpr.encoders.vgg16 import random_weights
from vpr.features.encoder import load_encoder
from vpr.retrieval.whitening import Whitening, save_whitening
from vpr.weights.checkpoint_files import save_checkpoint
from vpr.weights.checkpoints import parse_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pool = {"pool.conv.weight": torch.rand(2, 512, 1, 1), "pool.centroids": torch.rand(2, 512)}
    save_checkpoint(
        tmp_path / "a.pth.tar",
        random_weights(0) | pool,
        {"epoch": 3, "best_score": 0.5},
        form="nanne",
    )
    return tmp_path / "a.pth.tar"


def test_it_says_what_is_there_and_writes_nothing(file: Path) -> None:
    told = CliRunner().invoke(app, ["checkpoint", str(file)])
    assert told.exit_code == 0
    assert "2 clusters x 512 dimensions (vladv1), no whitening, epoch 3" in told.output
    assert list(file.parent.iterdir()) == [file]


def test_it_converts_and_never_overwrites(file: Path) -> None:
    out = file.with_name("b")
    arguments = ["checkpoint", str(file), "--to", "safetensors", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    one, other = parse_checkpoint(file), parse_checkpoint(out)
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert one.notes == other.notes
    assert sorted(path.name for path in file.parent.iterdir()) == ["a.pth.tar", "b"]
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code != 0
    assert "exists already" in str(again.exception)


def test_an_encoder_that_no_form_names_is_named_by_an_option(tmp_path: Path) -> None:
    state, _ = load_encoder("efficientnet_lite", "lite0").initial_state("random", 0)
    save_checkpoint(tmp_path / "a.pth", state, {}, form="bare")
    without = CliRunner().invoke(app, ["checkpoint", str(tmp_path / "a.pth")])
    assert "a.pth: not a checkpoint of vgg16" in str(without.exception)
    named = ("--encoder", "efficientnet_lite", "--model", "lite0")
    assert CliRunner().invoke(app, ["checkpoint", str(tmp_path / "a.pth"), *named]).exit_code == 0


@pytest.mark.parametrize("extra", [["--to", "bare"], ["out"]])
def test_a_form_and_a_file_belong_together(file: Path, extra: list[str]) -> None:
    done = CliRunner().invoke(app, ["checkpoint", str(file), *extra])
    assert "belong together" in str(done.exception)


def test_a_fitted_whitening_goes_along_and_comes_back(file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fitted = Whitening(*(rng.random(shape, np.float32) for shape in ((3, 1024), 3)))
    save_whitening(tmp_path / "whitening.npz", fitted)
    out = tmp_path / "with"
    arguments = ["checkpoint", str(file), "--whitening", str(tmp_path / "whitening.npz")]
    told = CliRunner().invoke(app, [*arguments, "--to", "nanne", str(out)])
    assert "whitening to 3 dimensions" in told.output
    found = parse_checkpoint(out)
    assert found.whitening_dim == 3
    weight, bias = (found.state[f"WPCA.0.{part}"].numpy() for part in ("weight", "bias"))
    np.testing.assert_array_equal(weight, fitted.weight[:, :, None, None])
    np.testing.assert_array_equal(bias, fitted.bias)
    save_whitening(tmp_path / "whitening.npz", None)
    assert "whiten.dim = 0" in str(CliRunner().invoke(app, arguments).exception)


def test_one_of_two_sets_of_weights_is_written_to_a_file_of_its_own(tmp_path: Path) -> None:
    state, _ = load_encoder("efficientnet_lite", "lite0").initial_state("random", 0)
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": averaged}, tmp_path / "a.pth")
    named = ["--encoder", "efficientnet_lite", "--model", "lite0"]
    out = tmp_path / "b.pth"
    chosen = ["checkpoint", str(tmp_path / "a.pth"), str(out), "--to", "bare"]
    told = CliRunner().invoke(app, [*chosen, "--key", "state_dict_ema", *named])
    assert told.exit_code == 0 and "tensors under state_dict_ema" in told.output
    found = parse_checkpoint(out, encoder="efficientnet_lite", variant="lite0").state
    assert all(torch.equal(found[name], tensor) for name, tensor in averaged.items())
