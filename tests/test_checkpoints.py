"""Checkpoints are loaded strictly, and nothing in them is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vpr.checkpoints import parse_checkpoint
from vpr.model_files import load_state, save_state
from vpr.random_weights import random_encoder
from vpr.starting_weights import find_weights, split_state

STATE = random_encoder(0) | {
    "pool.conv.weight": torch.rand(4, 512, 1, 1),
    "pool.centroids": torch.rand(4, 512),
}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("old_numpy", [True, False])
def test_the_challenges_own_form_loads(tmp_path: Path, old_numpy: bool) -> None:
    file = tmp_path / "pittsburgh_checkpoint.pth.tar"
    recalls = {1: np.float64(0.84), 5: np.float64(0.93)}
    content = {
        "epoch": 13, "state_dict": STATE, "recalls": recalls, "best_score": np.float64(0.93),
        "optimizer": {"state": {}, "param_groups": []}, "parallel": False,
    }  # fmt: skip
    torch.save(content, file, _use_new_zipfile_serialization=False)
    if old_numpy:  # numpy < 2 named the module without the underscore
        data = file.read_bytes()
        assert b"cnumpy._core.multiarray\nscalar" in data
        file.write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert same(parse_checkpoint(file), STATE)


def test_a_bare_state_dict_loads_in_both_containers(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save(STATE, tmp_path / "bare.pt", _use_new_zipfile_serialization=zipped)
        assert same(parse_checkpoint(tmp_path / "bare.pt"), STATE)


def test_torchvisions_vgg16_loads_without_its_classifier(tmp_path: Path) -> None:
    encoder = random_encoder(0)
    content = {key.replace("encoder.", "features."): value for key, value in encoder.items()}
    torch.save(content | {"classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.pth")
    assert same(parse_checkpoint(tmp_path / "vgg16.pth"), encoder)


def refused(tmp_path: Path, content: object) -> str:
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=r"bad\.pt") as caught:
        parse_checkpoint(tmp_path / "bad.pt")
    return str(caught.value)


def test_one_message_lists_all_that_is_wrong(tmp_path: Path) -> None:
    changed: dict[str, Any] = dict(STATE)
    del changed["encoder.0.bias"]
    changed["extra.weight"] = torch.zeros(1)
    changed["encoder.2.bias"] = torch.zeros(63)
    changed["encoder.5.bias"] = torch.full((128,), float("nan"))
    changed["encoder.7.bias"] = torch.zeros(128, dtype=torch.int64)
    message = refused(tmp_path, changed)
    for words in ("encoder.0.bias: missing", "extra.weight: not part", "(64,), found (63,)",
                  "encoder.5.bias: has values", "encoder.7.bias: expected floating"):  # fmt: skip
        assert words in message


def test_a_pool_without_centroids_is_refused(tmp_path: Path) -> None:
    changed = dict(STATE)
    del changed["pool.centroids"]
    assert "pool.centroids: missing" in refused(tmp_path, changed)


class Runs:
    """Pickled, this asks the reader to run a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """What an attacker writes."""
        return os.system, ("touch executed",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_by_name_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": STATE, "x": Runs()}
    torch.save(content, "evil.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"evil\.pt: refused.*system"):
        parse_checkpoint(Path("evil.pt"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_damaged_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.pt"):
        parse_checkpoint(tmp_path / "bad.pt")


def test_imagenet_weights_that_are_out_of_reach_say_what_to_put_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a port where nobody listens
    with pytest.raises(OSError, match=r"vgg16-397923af\.pth") as caught:
        find_weights(Path("models/pretrained/imagenet"), seed=0)
    assert str(tmp_path) in str(caught.value)


def test_the_split_keeps_every_tensor_and_files_do_not_depend_on_their_name(
    tmp_path: Path,
) -> None:
    frozen, trainable = split_state(STATE, 24)
    assert max(int(key.split(".")[1]) for key in frozen) == 21
    assert same(frozen | trainable, STATE)
    for name in ("a.pt", "another_name.pt"):
        save_state(tmp_path / name, trainable)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another_name.pt").read_bytes()
    assert same(load_state(tmp_path / "a.pt"), trainable)
