"""Checkpoints are loaded strictly, and nothing in them is run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from vpr.encoders.vgg16 import random_weights
from vpr.features.encoder import draw_state, load_encoder
from vpr.weights.checkpoint_files import Form, save_checkpoint
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

STATE: dict[str, torch.Tensor] = {}


@pytest.fixture(autouse=True)
def draw_state_of_vgg16(narrow_vgg16: None) -> None:
    STATE.update(random_weights(0))
    STATE.update({"pool.conv.weight": torch.rand(4, 64, 1, 1), "pool.centroids": torch.rand(4, 64)})


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("old_numpy", [True, False])
def test_the_challenges_own_form_loads(tmp_path: Path, old_numpy: bool) -> None:
    file = tmp_path / "pittsburgh_checkpoint.pth.tar"
    recalls = {1: np.float64(0.84), 5: np.float64(0.93)}
    content: dict[str, Any] = {
        "epoch": 13, "state_dict": STATE, "recalls": recalls, "best_score": np.float64(0.93),
        "parallel": False,
    }  # fmt: skip
    content["optimizer"] = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []}
    torch.save(content, file, _use_new_zipfile_serialization=False)
    if old_numpy:  # numpy < 2 named the module without the underscore
        data = file.read_bytes()
        assert b"cnumpy._core.multiarray\nscalar" in data
        file.write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    found = parse_checkpoint(file)
    assert same(found.state, STATE)
    assert found.notes == {"epoch": 13, "recalls": {1: 0.84, 5: 0.93}, "best_score": 0.93}
    assert (found.num_clusters, found.state["pool.centroids"].shape[1], found.vlad_version) == (
        4,
        64,
        1,
    )
    assert found.whitening_dim is None
    assert "legacy pickle" in describe_checkpoint(found)
    assert "4 clusters x 64 dimensions (vladv1), no whitening" in describe_checkpoint(found)


def test_a_bare_state_dict_loads_in_both_containers(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save(STATE, tmp_path / "bare.pt", _use_new_zipfile_serialization=zipped)
        assert same(parse_checkpoint(tmp_path / "bare.pt").state, STATE)


def test_torchvisions_vgg16_loads_without_its_classifier(tmp_path: Path) -> None:
    encoder = random_weights(0)
    content = {key.replace("encoder.", "features."): value for key, value in encoder.items()}
    torch.save(content | {"classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.pth")
    found = parse_checkpoint(tmp_path / "vgg16.pth")
    assert same(found.state, encoder)
    assert (found.num_clusters, found.vlad_version) == (None, None)


def rename(state: dict[str, torch.Tensor], **parts: str) -> dict[str, torch.Tensor]:
    split = (name.split(".", 1) for name in state)
    return dict(zip((f"{parts[part]}.{rest}" for part, rest in split), state.values(), strict=True))


def test_dataparallel_for_each_part_loads(tmp_path: Path) -> None:
    state = rename(STATE, encoder="encoder.module", pool="pool.module")
    torch.save({"state_dict": state, "parallel": True}, tmp_path / "a.pth.tar")
    assert same(parse_checkpoint(tmp_path / "a.pth.tar").state, STATE)


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("_orig_mod.", "state_dict"),  # torch.compile
        ("module._orig_mod.", "state_dict"),  # and distributed
        ("model.", "state_dict"),  # a Lightning module that calls it so
        ("net._orig_mod.", "model_state_dict"),
        ("", "model"),
        ("", "net"),
    ],
)
def test_what_wraps_a_network_is_taken_off(tmp_path: Path, prefix: str, key: str) -> None:
    inner = {prefix + name: tensor for name, tensor in STATE.items()}
    torch.save({key: inner, "epoch": 3}, tmp_path / "a.ckpt")
    assert same(parse_checkpoint(tmp_path / "a.ckpt").state, STATE)


RAW = draw_state(load_encoder("xfeat", None), 0)  # small
AVERAGED = {name: tensor + 1 for name, tensor in RAW.items()}


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ({"state_dict": RAW, "state_dict_ema": AVERAGED}, ("state_dict", "state_dict_ema")),
        ({"model_ema": AVERAGED, "model": RAW}, ("model_ema", "model")),
        ({"student": RAW, "teacher": AVERAGED}, ("student", "teacher")),
        ({"model": RAW, "ema": {"module": AVERAGED, "updates": 3}}, ("model", "ema.module")),
        ({"net": {"state_dict": RAW, "swa": AVERAGED}}, ("net.state_dict", "net.swa")),
        (RAW | {"ema": AVERAGED}, ("its top level", "ema")),
    ],
)
def test_two_sets_of_weights_are_refused_and_either_can_be_chosen(
    tmp_path: Path, content: dict[str, Any], keys: tuple[str, str]
) -> None:
    message = refused(tmp_path, content | {"epoch": 3}, encoder="xfeat")
    assert f"several sets of weights, under {keys[0]} and {keys[1]}" in message
    assert f"--key {keys[1]}" in message
    for key in keys:
        if key == "its top level":
            continue
        raw = key.removeprefix("net.") in ("state_dict", "model", "student")
        expected = RAW if raw else AVERAGED
        found = parse_checkpoint(tmp_path / "bad.pt", encoder="xfeat", key=key)
        assert same(found.state, expected)
        assert f"tensors under {key}," in found.form
    with pytest.raises(ValueError, match=r"bad\.pt: no weights of this encoder under x, found "):
        parse_checkpoint(tmp_path / "bad.pt", encoder="xfeat", key="x")


def test_weights_under_a_key_that_others_do_not_use_are_taken_when_it_is_named(
    tmp_path: Path,
) -> None:
    assert "holds weights, under teacher: " in refused(tmp_path, {"teacher": RAW}, encoder="xfeat")
    assert same(parse_checkpoint(tmp_path / "bad.pt", encoder="xfeat", key="teacher").state, RAW)


def test_tensors_that_are_not_read_are_named(tmp_path: Path) -> None:
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []}
    averaged = {"decay": 0.999, "shadow_params": list(AVERAGED.values())}
    content = {"state_dict": RAW, "optimizer": optimizer, "ema": averaged, "args": {"lr": 0.1}}
    torch.save(content, tmp_path / "a.pt")
    found = parse_checkpoint(tmp_path / "a.pt", encoder="xfeat")
    assert same(found.state, RAW)
    assert "(not read: optimizer, ema)" in describe_checkpoint(found)


def test_a_file_of_timms_training_is_read_with_its_arguments(tmp_path: Path) -> None:
    content = {"arch": "xfeat", "args": Namespace(lr=0.1), "epoch": 3, "state_dict": RAW}
    torch.save(content, tmp_path / "a.pth.tar")
    found = parse_checkpoint(tmp_path / "a.pth.tar", encoder="xfeat")
    assert same(found.state, RAW) and found.notes == {"epoch": 3}


def test_a_mapping_that_contains_itself_is_read(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": RAW, "more": []}
    content["self"] = content
    content["more"].append(content["more"])
    torch.save(content, tmp_path / "a.pt")
    assert same(parse_checkpoint(tmp_path / "a.pt", encoder="xfeat").state, RAW)


def test_an_averaged_model_s_counter_is_no_weight(tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(1, 1)).state_dict()
    counter = {name: value for name, value in averaged.items() if not name.startswith("module.")}
    assert counter
    inner = counter | {f"module.{name}": tensor for name, tensor in STATE.items()}
    torch.save(inner, tmp_path / "ema.pt")
    assert same(parse_checkpoint(tmp_path / "ema.pt").state, STATE)


def test_the_benchmarks_form_loads_with_its_bias_and_its_array_of_recalls(tmp_path: Path) -> None:
    state = STATE | {"pool.conv.bias": torch.rand(4)}
    recalls = np.array([38.5, 59.0, 70.5, 79.0])
    inner = rename(state, encoder="module.backbone", pool="module.aggregation")
    content = {"epoch_num": 7, "model_state_dict": inner, "recalls": recalls, "best_r5": recalls[1]}
    torch.save(content, tmp_path / "best_model.pth")
    found = parse_checkpoint(tmp_path / "best_model.pth")
    assert same(found.state, state)
    assert found.vlad_version == 2
    assert found.notes == {"epoch": 7, "recalls": [38.5, 59.0, 70.5, 79.0], "best_score": 59.0}


def test_whitening_loads_with_the_pool_and_not_without_it(tmp_path: Path) -> None:
    whitening = {"WPCA.0.weight": torch.rand(8, 256, 1, 1), "WPCA.0.bias": torch.rand(8)}
    torch.save({"state_dict": STATE | whitening}, tmp_path / "wpca.pth.tar")
    found = parse_checkpoint(tmp_path / "wpca.pth.tar")
    assert same(found.state, STATE | whitening)
    assert found.whitening_dim == 8
    assert "pool.centroids: missing" in refused(tmp_path, random_weights(0) | whitening)


def test_half_precision_and_parameters_become_float32(tmp_path: Path) -> None:
    torch.save({name: torch.nn.Parameter(t.half()) for name, t in STATE.items()}, tmp_path / "h.pt")
    state = parse_checkpoint(tmp_path / "h.pt").state
    assert same(state, {name: tensor.half().float() for name, tensor in STATE.items()})
    assert not any(tensor.requires_grad for tensor in state.values())


@pytest.mark.parametrize("form", ["nanne", "bare", "safetensors"])
def test_there_and_back_is_the_identity(tmp_path: Path, form: Form) -> None:
    notes = {"epoch": 13, "recalls": {1: 0.84, 5: 0.93}, "best_score": 0.93}
    for name in ("one", "another"):
        save_checkpoint(tmp_path / name, STATE, notes, form=form)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "another").read_bytes()
    found = parse_checkpoint(tmp_path / "one")
    assert same(found.state, STATE)
    assert list(found.state) == list(STATE)
    assert found.notes == ({} if form == "bare" else notes)


def test_safetensors_of_others_load(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "a.safetensors")
    assert same(parse_checkpoint(tmp_path / "a.safetensors").state, STATE)
    save_checkpoint(tmp_path / "b.safetensors", STATE, {"epoch": 1}, form="safetensors")
    assert same(safetensors.torch.load_file(tmp_path / "b.safetensors"), STATE)


def test_numpy_numbers_of_every_type_are_read(tmp_path: Path) -> None:
    numbers = {2: np.float32(0.5), 3: np.int64(-7), 4: np.bool_(True), 5: np.float16(0.25)}
    swapped = np.array([1.0, 2.5], dtype=">f8")
    torch.save({"state_dict": STATE, "recalls": numbers}, tmp_path / "a.pt")
    assert parse_checkpoint(tmp_path / "a.pt").notes["recalls"] == {
        2: 0.5,
        3: -7,
        4: 1,
        5: 0.25,
    }
    torch.save({"state_dict": STATE, "recalls": swapped}, tmp_path / "b.pt")
    assert parse_checkpoint(tmp_path / "b.pt").notes["recalls"] == [1.0, 2.5]
    objects = refused(tmp_path, {"state_dict": STATE, "x": np.array([None])})
    assert "names numpy.dtypes.ObjectDType, which is neither a tensor nor a number" in objects
    texts = refused(tmp_path, {"state_dict": STATE, "x": np.array(["a"])})
    assert "names numpy.dtypes.StrDType" in texts


def refused(tmp_path: Path, content: object, *, encoder: str = "vgg16") -> str:
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=r"bad\.pt") as caught:
        parse_checkpoint(tmp_path / "bad.pt", encoder=encoder)
    return str(caught.value)


def test_one_message_lists_all_that_is_wrong(tmp_path: Path) -> None:
    changed: dict[str, Any] = dict(STATE)
    del changed["encoder.0.bias"]
    changed["extra.weight"] = torch.zeros(1)
    changed["encoder.2.bias"] = torch.zeros(7)
    changed["encoder.5.bias"] = torch.full((16,), float("nan"))
    changed["encoder.7.bias"] = torch.zeros(16, dtype=torch.int64)
    changed["encoder.module.10.bias"] = changed["encoder.10.bias"]
    message = refused(tmp_path, changed)
    for words in ("encoder.10.bias: is there twice", "encoder.0.bias: missing",
                  "extra.weight: not part", "(8,), found (7,)",
                  "encoder.5.bias: has values", "encoder.7.bias: expected floating"):  # fmt: skip
        assert words in message


def test_values_that_fit_no_float32_or_are_repeated_or_not_plain_are_refused(
    tmp_path: Path,
) -> None:
    changed: dict[str, Any] = dict(STATE)
    changed["encoder.0.bias"] = torch.full((8,), 1e300, dtype=torch.float64)
    changed["encoder.2.bias"] = torch.zeros(1).expand(8)
    changed["encoder.5.bias"] = torch.zeros(16, device="meta")
    changed["encoder.7.bias"] = 3
    changed[8] = torch.zeros(1)
    message = refused(tmp_path, changed)
    for words in ("encoder.0.bias: has values that are not", "encoder.2.bias: expected 8 values",
                  "encoder.5.bias: expected plain", "encoder.7.bias: expected a tensor, found int",
                  "8: expected a name"):  # fmt: skip
        assert words in message


def test_a_pool_without_centroids_is_refused(tmp_path: Path) -> None:
    changed = dict(STATE)
    del changed["pool.centroids"]
    assert "pool.centroids: missing" in refused(tmp_path, changed)
