"""A model of torch.hub from a local folder is read strictly, asks for leave, and describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.hub_model import write_hub_model
from vpr.encoders.hub import KNOWN, make_encoder, parse_source
from vpr.features.encoder import POOL, check_resizing, count_channels, load_encoder, tensor_shapes
from vpr.features.input_rules import MEAN, STD
from vpr.features.model import Model, load_model, save_model
from vpr.features.trunk import check_features, load_trunk
from vpr.runtime.external_code import ALLOW
from vpr.weights.checkpoints import load_starting_model, parse_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's repository, in a folder with a name of its own; foreign code is allowed."""
    write_hub_model(tmp_path)
    monkeypatch.setenv(ALLOW, "1")
    return tmp_path


@pytest.fixture
def pixels() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (2, 30, 41, 3), dtype=np.uint8))


def by_hand(state: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colours = ((pixels / 255 - mean) / std).mean(dim=(1, 2)) / (1 + 1e-5) ** 0.5
    return colours @ state["encoder.mix.weight"].T + state["encoder.mix.bias"]


@pytest.mark.parametrize("call", ["colours(dim=5)", "colours(5, name=pair)", "colours(5, wrapped=True)"])  # fmt: skip # noqa: E501
def test_a_descriptor_is_a_map_of_one_position(
    folder: Path, pixels: torch.Tensor, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, words = load_starting_model(
        Path("pretrained"), encoder="hub", variant=f"{folder}:{call}", split=POOL, seed=0
    )
    assert f"running foreign code: {folder}/hubconf.py, colours" in capsys.readouterr().err
    assert words == f"pretrained: {folder}:{call}"
    maker = model.make_encoder()
    assert {name: tuple(t.shape) for name, t in model.tensors.items()} == tensor_shapes(maker)
    assert "encoder.mix.weight" in model.tensors
    assert count_channels(maker) == 5
    assert maker.values_per_pixel >= 6
    frozen, rest = model.parts()
    assert not rest.tensors
    save_model(folder / "frozen.pt", frozen)
    trunk = load_trunk(load_model(folder / "frozen.pt"), torch.float32)
    with torch.inference_mode():
        maps = trunk(pixels)
        again = trunk(pixels[1:])
    assert tuple(maps.shape) == (2, *trunk.map_shape(30, 41)) == (2, 5, 1, 1)
    torch.testing.assert_close(maps[:, :, 0, 0], by_hand(model.tensors, pixels))
    torch.testing.assert_close(again, maps[1:])


def test_stored_weights_are_used_and_the_loaded_model_stays_as_it_is(
    folder: Path, pixels: torch.Tensor
) -> None:
    variant = f"{folder}:colours(dim=4)"
    maker = make_encoder(variant)
    state, _ = maker.initial_state("pretrained", 0)
    before = {name: tensor.clone() for name, tensor in state.items()}
    other = {n: t * 2 if t.is_floating_point() and "mix" in n else t for n, t in state.items()}
    trunk = load_trunk(Model("hub", variant, POOL, other), torch.bfloat16)
    with torch.inference_mode():
        maps = trunk(pixels).float()[:, :, 0, 0]
    torch.testing.assert_close(maps, by_hand(other, pixels), atol=0.05, rtol=0.05)
    again, _ = maker.initial_state("pretrained", 5)
    assert all(torch.equal(again[name], tensor) for name, tensor in before.items())


def test_images_are_resized_to_the_size_after_the_call(folder: Path, pixels: torch.Tensor) -> None:
    part = make_encoder(f"{folder}:colours(dim=4)@20x28").frozen(POOL).eval()
    with torch.inference_mode():
        part(pixels)
    seen = part.network.seen
    assert seen.shape == (2, 3, 20, 28)
    plain = make_encoder(f"{folder}:colours(dim=4)").frozen(POOL).eval()
    with torch.inference_mode():
        plain(pixels)
    assert plain.network.seen.shape == (2, 3, 30, 41)


def test_salads_photos_are_resized_as_by_pillow_before_they_are_normalised(
    folder: Path, pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, (str(folder).lower(), ""), KNOWN["serizba/salad", ""])
    part = make_encoder(f"{folder}:colours(dim=4)").frozen(POOL).eval()
    with torch.inference_mode():
        part(pixels)
    for photo, seen in zip(pixels.numpy(), part.network.seen, strict=True):
        resized = Image.fromarray(photo).resize((322, 322), Image.Resampling.BILINEAR)
        levels = (seen.permute(1, 2, 0).numpy() * STD + MEAN) * 255
        off = np.abs(levels - np.asarray(resized))
        assert off.max() < 1.01 and (off > 0.01).mean() < 0.02  # of normalised pixels: 20 %


@pytest.mark.parametrize(
    ("model", "scaled", "words"),
    [
        (
            "colours()@384x384",
            (240, 320),
            r"of 640x480 pixels to 320x240, and .* itself, this one to 384x384",
        ),
        ("colours()@384x384", (480, 640), None),  # as stored
        ("colours()@240x320", (240, 320), r"itself, this one to 320x240"),  # by another kernel
        ("colours()", (240, 320), None),
    ],
)
def test_a_photo_is_not_resized_twice(
    folder: Path, model: str, scaled: tuple[int, int], words: str | None
) -> None:
    maker = load_encoder("hub", f"{folder}:{model}")
    if words is None:
        check_resizing(maker, (480, 640), scaled)
        return
    with pytest.raises(ValueError, match=words):
        check_resizing(maker, (480, 640), scaled)


def test_a_scaled_photo_is_refused_before_a_model_of_its_own_size_runs(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    photos = tmp_path_factory.mktemp("photos")
    Image.new("RGB", (64, 48)).save(photos / "a.png")
    images, device = [photos / "a.png"], torch.device("cpu")
    maker = load_encoder("hub", f"{folder}:colours(dim=2)@20x28")
    state, _ = maker.initial_state("pretrained", 0)
    trunk = load_trunk(Model("hub", maker.variant, POOL, state), torch.float32)
    check_features(images, [(48, 64)], trunk, device)
    with pytest.raises(ValueError, match=r"set both to null"):
        check_features(images, [(24, 32)], trunk, device)


def test_foreign_code_runs_with_leave_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOW)
    maker = load_encoder("hub", f"{folder}:colours(dim=3)")
    with pytest.raises(ValueError, match=rf"would run foreign code, {folder}/hubconf\.py.*{ALLOW}=1"):  # fmt: skip # noqa: E501
        maker.initial_state("pretrained", 0)
    assert maker.splits == (POOL,)


def test_the_global_generator_is_left_alone(folder: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    make_encoder(f"{folder}:colours(dim=7)").frozen(POOL)
    assert torch.equal(torch.rand(1), expected)


def test_a_repository_its_commit_its_entry_and_arguments_are_read() -> None:
    name = f"gmberton/EigenPlaces@{COMMIT}:get_trained_model(backbone=ResNet18,fc_output_dim=256)"
    entry, rule = parse_source(name)
    assert entry == (
        "gmberton/EigenPlaces", COMMIT, "get_trained_model", (),
        {"backbone": "ResNet18", "fc_output_dim": 256},
    )  # fmt: skip
    assert rule.size_px is None
    entry, rule = parse_source(f"a/b@{COMMIT}:make('x y', -1, 0.5, flag=True, none=None)@64x48")
    assert entry.args == ("x y", -1, 0.5)
    assert entry.kwargs == {"flag": True, "none": None}
    assert rule.size_px == (64, 48)
    assert parse_source(f"a/b@{COMMIT}:make")[0].args == ()


@pytest.mark.parametrize(
    ("call", "size", "multiple"),
    [
        ("gmberton/MegaLoc@{}:get_trained_model()", None, 14),
        ("amaralibey/Bag-of-Queries@{}:get_trained_boq(backbone_name=dinov2)", (322, 322), 1),
        ("amaralibey/Bag-of-Queries@{}:get_trained_boq(backbone_name=resnet50)", (384, 384), 1),
        ("serizba/salad@{}:dinov2_salad()", (322, 322), 1),
        ("jarvisyjw/MixVPR@{}:get_trained_model()", (320, 320), 1),
        ("AnyLoc/DINO@{}:get_vlad_model(domain=urban)", None, 14),
    ],
)
def test_known_models_get_images_of_their_own_size(
    call: str, size: tuple[int, int] | None, multiple: int
) -> None:
    _, rule = parse_source(call.format(COMMIT))
    assert (rule.size_px, rule.multiple_px) == (size, multiple)


def test_sfrs_sees_pixels_of_0_to_255_less_their_mean() -> None:
    _, rule = parse_source(f"yxgeee/OpenIBL@{COMMIT}:vgg16_netvlad(pretrained=True)")
    white = [(1 - mean) / std for mean, std in zip(rule.mean, rule.std, strict=True)]
    assert np.allclose(white, [255 - 123.68, 255 - 116.779, 255 - 103.939])


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (None, r"trunk\.model = null: trunk\.encoder = hub needs one"),
        ("gmberton/EigenPlaces", r"expected owner/name@<40 digits of a commit>:entry"),
        ("gmberton/EigenPlaces:get_trained_model()", r"the 40 hexadecimal digits of a commit"),
        ("gmberton/EigenPlaces@main:get_trained_model()", r"the 40 hexadecimal digits"),
        ("no/such/folder:make()", r"there is no file no/such/folder/hubconf\.py"),
        (f"a/b@{COMMIT}:make(x=1, x=2)", r"expected arguments such as"),
        (f"a/b@{COMMIT}:make(open('f'))", r"expected arguments such as"),
        (f"a/b@{COMMIT}:make(**more)", r"expected arguments such as"),
        (f"a/b@{COMMIT}:make(x=)", r"expected arguments such as"),
        (
            "gmberton/MegaLoc@e31e8e01de41042c9109c7e41c36a1493e22f269:get_trained_model()",
            r"swaps height and width of the positions: take 1af071c68fc3ab6c6018c5c868391763516e5",
        ),
        (
            "amaralibey/Bag-of-Queries@1a17a4d89506440e974c745baa584b47b40d6072:get_trained_boq()",
            r"cannot load its released weights: take 1a4965ea7dfd9bd0dd846adf7a0e430f68101d12",
        ),
        (f"a/b@{COMMIT}:make()@0x5", r"at least 1x1"),
    ],
)
def test_a_name_of_another_form_is_told(variant: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_encoder("hub", variant)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ("unready()", ValueError, r"hubconf\.py: no weights yet \(AssertionError\)"),
        ("misnamed()", ValueError, r"hubconf\.py: 'encoder' \(KeyError\)"),
        ("fails()", ValueError, r"trunk\.model = .*:fails\(\): 8 tokens \(AssertionError\)"),
        ("nothing()", ValueError, r"expected a torch\.nn\.Module, found str"),
        ("a_map()", ValueError, r"descriptors \(1, D\) of 1 images, found \(1, 4, 224, 224\)"),
        ("broken(dim=2)", ValueError, r"hubconf\.py: Missing dependencies: pytorch_lightning"),
        ("colours(dims=2)", ValueError, r"hubconf\.py: .*unexpected keyword argument 'dims'"),
        ("missing()", ValueError, r"hubconf\.py: Cannot find callable missing"),
        ("asks()", ValueError, r"asks whether you trust it: .*trusted_list"),
        ("offline()", OSError, r"could not be downloaded \(Name or .*copy the folder"),
    ],
)
def test_an_entry_that_makes_no_model_is_told(
    folder: Path, call: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        count_channels(make_encoder(f"{folder}:{call}"))


def test_a_repository_out_of_reach_says_what_to_copy_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW, "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a port where nobody listens
    maker = make_encoder(f"gmberton/MegaLoc@{COMMIT}:get_trained_model()")
    with pytest.raises(OSError, match=rf"could not be downloaded .*copy the folder {tmp_path}/hub"):
        maker.initial_state("pretrained", 0)


def test_a_repository_in_torch_hubs_folder_runs_without_a_network(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("torch")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    (home / "hub").mkdir()
    folder.rename(home / "hub" / f"someone_colours_{COMMIT}")
    maker = make_encoder(f"someone/colours@{COMMIT}:colours(dim=6)")
    assert count_channels(maker) == 6


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    given = {"encoder": "hub", "variant": f"{folder}:colours(dim=2)", "split": POOL, "seed": 0}
    with pytest.raises(ValueError, match=r"trunk\.encoder = hub knows pretrained; set it to one"):
        load_starting_model(Path("random"), **given)
    torch.save({"mix.weight": torch.zeros(2, 3)}, tmp_path / "own.pth")
    with pytest.raises(ValueError, match=r"takes no file of weights"):
        parse_checkpoint(tmp_path / "own.pth", encoder="hub", variant=f"{folder}:colours(dim=2)")
