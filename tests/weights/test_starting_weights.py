"""The stage pretrained: whatever form the weights come in, equal tensors give equal files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from stages.pretrained import pretrained
from vpr.encoders.vgg16 import random_weights
from vpr.features.model import Model, load_model, save_model
from vpr.run_files import WEIGHTS
from vpr.weights.checkpoint_files import save_checkpoint
from vpr.weights.checkpoints import load_starting_model

STATE = random_weights(0) | {
    "pool.conv.weight": torch.rand(4, 512, 1, 1),
    "pool.centroids": torch.rand(4, 512),
}
OUTS = ("models/initial/frozen.pt", "models/initial/trainable.pt")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def start_from(path: Path) -> Model:
    return load_starting_model(path, encoder="vgg16", variant=None, split="conv5_1", seed=0)[0]


def run_stage_on(
    weights: Path, *, trainable_from: str = "conv5_1", sha256: str = "null"
) -> list[bytes]:
    Path("params.yaml").write_text(
        f"pretrained:\n  weights: {weights.name}\n  seed: 3\n  sha256: {sha256}\n"
        f"trunk:\n  encoder: vgg16\n  model: null\n  trainable_from: {trainable_from}\n"
    )
    frozen, trainable = (Path(out) for out in OUTS)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    (WEIGHTS / weights.name).write_bytes(weights.read_bytes())
    pretrained(frozen=frozen, trainable=trainable)
    return [frozen.read_bytes(), trainable.read_bytes()]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_another_file_with_the_same_tensors_gives_the_same_outs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_checkpoint(Path("one.pth.tar"), STATE, {"epoch": 13}, form="nanne")
    first = run_stage_on(Path("one.pth.tar"))
    assert "vladv1" in capsys.readouterr().out
    backwards = dict(reversed(STATE.items()))
    torch.save(
        {name.replace(".", ".module.", 1): tensor for name, tensor in backwards.items()},
        "another.pth",
        _use_new_zipfile_serialization=False,
    )
    assert run_stage_on(Path("another.pth")) == first
    save_checkpoint(Path("third.safetensors"), STATE, {}, form="safetensors")
    assert run_stage_on(Path("third.safetensors")) == first


def test_the_outs_are_the_encoder_below_and_all_above_with_the_seed_of_the_parameters() -> None:
    Path("random").write_text("a name")
    run_stage_on(Path("random"), trainable_from="conv3_1")
    frozen, trainable = (load_model(Path(out)).tensors for out in OUTS)
    assert {int(name.split(".")[1]) for name in frozen} == {0, 2, 5, 7}
    assert same(frozen | trainable, random_weights(3))


def test_the_pool_its_bias_and_the_whitening_are_kept_beside_the_trainable_layers() -> None:
    more = {
        "pool.conv.bias": torch.rand(4),
        "WPCA.0.weight": torch.rand(8, 2048, 1, 1),
        "WPCA.0.bias": torch.rand(8),
    }
    save_checkpoint(Path("a"), STATE | more, {}, form="bare")
    run_stage_on(Path("a"), trainable_from="pool")
    assert set(load_model(Path(OUTS[1])).tensors) == {*more, "pool.conv.weight", "pool.centroids"}


def test_a_pinned_file_must_be_the_one() -> None:
    save_checkpoint(Path("a"), STATE, {}, form="bare")
    digest = hashlib.sha256(Path("a").read_bytes()).hexdigest()
    run_stage_on(Path("a"), sha256=digest)
    with pytest.raises(ValueError, match=rf"a: expected SHA-256 {'0' * 64} .*found {digest}"):
        run_stage_on(Path("a"), sha256="'" + "0" * 64 + "'")
    with pytest.raises(ValueError, match=r"pretrained\.sha256"):
        run_stage_on(Path("a"), sha256="abc")


def test_refused_weights_leave_the_outs_as_they_were() -> None:
    Path("random").write_text("a name")
    before = run_stage_on(Path("random"))
    Path("bad").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="bad: refused"):
        run_stage_on(Path("bad"))
    assert [Path(out).read_bytes() for out in OUTS] == before


def test_random_weights_leave_the_global_generator_alone_and_do_not_depend_on_it() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = random_weights(5)["encoder.0.weight"]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(random_weights(5)["encoder.0.weight"], first)


def test_a_damaged_file_of_imagenet_weights_is_told_by_its_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"vgg16-397923af\.pth: expected SHA-256 397923af"):
        start_from(Path("models/pretrained/imagenet"))


def test_imagenet_weights_that_are_out_of_reach_say_what_to_put_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a port where nobody listens
    with pytest.raises(OSError, match=r"vgg16-397923af\.pth") as caught:
        start_from(Path("models/pretrained/imagenet"))
    assert str(tmp_path) in str(caught.value)


def test_the_split_keeps_every_tensor_and_files_do_not_depend_on_their_name(
    tmp_path: Path,
) -> None:
    frozen, trainable = Model("vgg16", None, "conv5_1", STATE).parts()
    assert max(int(key.split(".")[1]) for key in frozen.tensors) == 21
    assert same(frozen.tensors | trainable.tensors, STATE)
    for name in ("a.pt", "another_name.pt"):
        save_model(tmp_path / name, trainable)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another_name.pt").read_bytes()
    read = load_model(tmp_path / "a.pt")
    assert (read.encoder, read.split) == ("vgg16", "conv5_1")
    assert same(read.tensors, trainable.tensors)
