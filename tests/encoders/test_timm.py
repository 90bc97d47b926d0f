"""Models of timm give the maps that timm itself gives, whole and split."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import tests.support.small_networks  # noqa: F401 - registers them
from tests.support.imports import imported_anew
from tests.support.published_readings import dinov2_tokens
from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.timm import make_encoder
from vpr.features.encoder import ALL, POOL, PREFIX, load_encoder, tensor_shapes
from vpr.features.model import Model, save_model
from vpr.features.trunk import load_trunk
from vpr.network.head import Head
from vpr.weights.checkpoints import load_starting_model, parse_checkpoint

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DINO, REGISTERS = "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
SMALL_VIT, SMALL_DINO = "small_vit_tiny_patch16_224", f"small_{DINO}"


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (2, 75, 93, 3), dtype=np.uint8))


@cache
def random_state(variant: str) -> dict[str, torch.Tensor]:
    return make_encoder(variant).initial_state("random", 1)[0]


def timms_own(variant: str, state: dict[str, torch.Tensor], **settings: bool) -> nn.Module:
    """The whole network of timm with the state of a model; its head is not in use."""
    network = timm.create_model(variant, num_classes=0, **settings).eval()
    own = {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
    assert not network.load_state_dict(own, strict=False).unexpected_keys
    return network


def normalised(
    pixels: torch.Tensor, mean_and_deviation: tuple[tuple[float, ...], tuple[float, ...]]
) -> torch.Tensor:
    mean, deviation = (torch.tensor(v)[:, None, None] for v in mean_and_deviation)
    return (pixels.permute(0, 3, 1, 2) / 255 - mean) / deviation


def run_trunk(
    variant: str, state: dict[str, torch.Tensor], split: str, pixels: torch.Tensor
) -> torch.Tensor:
    trunk = load_trunk(Model("timm", variant, split, state), torch.float32)
    with torch.inference_mode():
        maps: torch.Tensor = trunk(pixels)
    assert tuple(maps.shape[1:]) == trunk.map_shape(*pixels.shape[1:3])
    return maps


@pytest.mark.parametrize("variant", ["resnet10t", "small_resnet18", "mobilenetv3_small_050"])
def test_a_convolutional_networks_map_is_the_last_of_timms_features(
    variant: str, pixels: torch.Tensor
) -> None:
    state = random_state(variant)
    network = timms_own(variant, state)
    with torch.inference_mode():
        expected = network.forward_intermediates(
            normalised(pixels, IMAGENET), intermediates_only=True
        )[-1]
    maps = run_trunk(variant, state, POOL, pixels)
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-5)


def test_a_layer_after_the_colon_is_the_last_in_use(pixels: torch.Tensor) -> None:
    state = random_state("small_resnet18:layer3")
    network = timm.create_model("small_resnet18", features_only=True, out_indices=(3,)).eval()
    network.load_state_dict({n.removeprefix(PREFIX): t for n, t in state.items()}, strict=False)
    with torch.inference_mode():
        (expected,) = network(normalised(pixels, IMAGENET))
    maps = run_trunk("small_resnet18:layer3", state, POOL, pixels)
    assert maps.shape == (2, 64, 5, 6)
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-5)
    assert not any(name.startswith("encoder.layer4") for name in state)
    assert make_encoder("small_resnet18:layer3").splits[-2:] == ("layer3.1", POOL)


@pytest.mark.parametrize(
    ("variant", "patch", "prefix", "scale"),
    [
        (SMALL_VIT, 16, 1, HALVES), (SMALL_DINO, 14, 1, IMAGENET),
        (f"small_{REGISTERS}", 14, 5, IMAGENET),
    ],
)  # fmt: skip
def test_a_transformers_map_is_its_last_patch_tokens(
    variant: str, patch: int, prefix: int, scale: tuple, pixels: torch.Tensor
) -> None:
    state = random_state(variant)
    network = timms_own(variant, state, dynamic_img_size=True)
    rows, columns = 75 // patch, 93 // patch
    top, left = (75 % patch) // 2, (93 % patch) // 2
    inner = pixels[:, top : top + rows * patch, left : left + columns * patch]
    with torch.inference_mode():
        tokens = network.forward_features(normalised(inner, scale))
    assert tokens.shape[1] == prefix + rows * columns
    maps = run_trunk(variant, state, POOL, pixels)
    assert maps.shape == (2, tokens.shape[2], rows, columns)
    by_hand = tokens[:, prefix:].reshape(2, rows, columns, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(maps, by_hand, atol=1e-4, rtol=1e-4)


def test_a_block_after_the_colon_gives_its_tokens_without_the_last_norm(
    pixels: torch.Tensor,
) -> None:
    variant = f"{SMALL_VIT}:blocks.1"
    state = random_state(variant)
    assert not any(name.startswith(("encoder.blocks.2", "encoder.norm.")) for name in state)
    network = timm.create_model(SMALL_VIT, num_classes=0, dynamic_img_size=True).eval()
    network.load_state_dict({n.removeprefix(PREFIX): t for n, t in state.items()}, strict=False)
    with torch.inference_mode():
        (expected,) = network.forward_intermediates(
            normalised(pixels[:, 5:69, 6:86], HALVES), indices=[1], intermediates_only=True
        )
    maps = run_trunk(variant, state, POOL, pixels)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("variant", "norm"),
    [("small_swin_s3_tiny_224", True), ("hrnet_w18_small", True), ("small_hiera_tiny_224", False)],
)
def test_a_model_that_cannot_be_split_runs_whole(variant: str, norm: bool) -> None:
    assert make_encoder(variant).splits == (ALL, POOL)
    side = 224
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(rng.integers(0, 256, (1, side, side, 3), dtype=np.uint8))
    state = random_state(variant)
    network = timms_own(variant, state)
    with torch.inference_mode():
        expected = network.forward_intermediates(
            normalised(pixels, IMAGENET), norm=norm, intermediates_only=True
        )[-1]
    maps = run_trunk(variant, state, POOL, pixels)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("variant", "split"),
    [
        ("small_resnet18", "layer3"), ("small_resnet18", "layer4.1"),
        ("mobilenetv3_small_050", "blocks.3"), (SMALL_VIT, "blocks.1"),
        (f"small_{REGISTERS}", "blocks.2"),
    ],
)  # fmt: skip
def test_both_parts_together_are_the_whole_wherever_it_is_split(
    variant: str, split: str, pixels: torch.Tensor
) -> None:
    state = random_state(variant)
    frozen, rest = Model("timm", variant, split, state).parts()
    assert {*frozen.tensors, *rest.tensors} == set(state)
    assert frozen.tensors and rest.tensors
    expected = run_trunk(variant, state, POOL, pixels)
    stored = run_trunk(variant, frozen.tensors, split, pixels)
    untouched = stored.clone()
    dim = expected.shape[1]
    head = Head(make_encoder(variant), split, NetVLAD(2, dim, with_bias=False)).eval()
    assert {n for n in head.state_dict() if n.startswith(PREFIX)} == set(rest.tensors)
    head.load_state_dict(head.state_dict() | rest.tensors)
    with torch.inference_mode():
        torch.testing.assert_close(head.encode(stored), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(stored, untouched)


def test_prefix_tokens_stand_in_rows_above_the_map() -> None:
    maker = make_encoder(REGISTERS)  # five of them: the class token and four registers
    assert maker.map_shape(POOL, 45, 59) == (384, 3, 4)
    assert maker.map_shape("blocks.3", 45, 59) == (384, 3 + 2, 4)
    assert maker.map_shape("blocks.3", 45, 99) == (384, 3 + 1, 7)


@pytest.mark.parametrize("split", [POOL, "blocks.1"])
def test_a_class_token_stays_above_the_map_and_positions_are_dinov2s(
    split: str, pixels: torch.Tensor
) -> None:
    variant = f"{SMALL_DINO}+token"
    state = random_state(variant)
    assert state.keys() == random_state(SMALL_DINO).keys()
    network = timms_own(SMALL_DINO, state, dynamic_img_size=True)
    with torch.inference_mode():
        tokens = network.norm(dinov2_tokens(network, normalised(pixels[:, 2:72, 4:88], IMAGENET)))
        frozen, rest = Model("timm", variant, split, state).parts()
        maps = run_trunk(variant, frozen.tensors, split, pixels)
        assert maps.shape == (2, 64, 1 + 5, 6)
        if split != POOL:
            head = Head(make_encoder(variant), split, NetVLAD(2, 64, with_bias=False)).eval()
            head.load_state_dict(head.state_dict() | rest.tensors)
            maps = head.encode(maps)
    torch.testing.assert_close(maps[:, :, 0, 0], tokens[:, 0], atol=1e-4, rtol=1e-4)
    assert not maps[:, :, 0, 1:].any()
    by_hand = tokens[:, 1:].reshape(2, 5, 6, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(maps[:, :, 1:], by_hand, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["resnet18+token", f"{REGISTERS}+token"])
def test_a_token_is_of_transformers_that_have_one(variant: str) -> None:
    with pytest.raises(ValueError, match=r"\+token is of vision transformers with one class token"):
        make_encoder(variant).splits  # noqa: B018 # asking is what looks it up


def test_images_below_a_patch_have_an_empty_map_and_channels_are_known_all_the_same() -> None:
    assert make_encoder(DINO).map_shape(POOL, 13, 50) == (384, 0, 0)
    assert make_encoder("convnext_atto").map_shape(POOL, 1, 1) == (320, 0, 0)
    with pytest.raises(ValueError, match=r"100x64 pixels does not pass.* set .* \[224, 224\]"):
        make_encoder("levit_128s").map_shape(POOL, 64, 100)


def test_random_weights_repeat_and_leave_the_global_generator_alone() -> None:
    maker = make_encoder("resnet10t")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (maker.initial_state("random", seed)[0] for seed in (1, 1, 2))
    maker.frozen(POOL)
    maker.trainable("layer4")
    assert torch.equal(torch.rand(1), expected)
    assert {name: tuple(t.shape) for name, t in first.items()} == tensor_shapes(maker)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.layer4.0.conv1.weight"],
                           other["encoder.layer4.0.conv1.weight"])  # fmt: skip


def test_batch_norm_keeps_its_statistics_while_the_last_stage_trains(pixels: torch.Tensor) -> None:
    head = Head(make_encoder("resnet10t"), "layer4", NetVLAD(2, 512, with_bias=False))
    before = {name: tensor.clone() for name, tensor in head.encoder.state_dict().items()}
    head.train()
    head.encode(torch.randn(2, 256, 4, 4)).sum().backward()
    after = head.encoder.state_dict()  # the pool has no values yet
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert {p.dim() for p in head.encoder.parameters()} == {4}  # convolutions alone
    assert all(p.grad is not None for p in head.encoder.parameters())


@pytest.mark.parametrize("variant", ["resnet10t", "small_densenet121", SMALL_VIT])
def test_a_file_of_timms_is_read_strictly_and_its_classifier_left_out(
    variant: str, tmp_path: Path
) -> None:
    network = timm.create_model(variant)
    own = network.state_dict()
    torch.save(own, tmp_path / "own.pth")
    save_file(own, tmp_path / "own.safetensors")
    for name in ("own.pth", "own.safetensors"):
        found = parse_checkpoint(tmp_path / name, encoder="timm", variant=variant).state
        assert found.keys() == tensor_shapes(make_encoder(variant)).keys()
        assert all(torch.equal(own[n.removeprefix(PREFIX)], t) for n, t in found.items())
    torch.save(own | {"stem.extra": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(ValueError, match=r"stem\.extra: not part of the network"):
        parse_checkpoint(tmp_path / "more.pth", encoder="timm", variant=variant)
    name = next(n for n, t in own.items() if t.dim() == 4)
    torch.save({n: t for n, t in own.items() if n != name}, tmp_path / "less.pth")
    with pytest.raises(ValueError, match=rf"encoder\.{name}: missing"):
        parse_checkpoint(tmp_path / "less.pth", encoder="timm", variant=variant)


VIT = "vit_small_patch16_224"


@pytest.mark.parametrize(
    ("model", "file", "takes", "remark"),
    [
        # timm's dino tag was trained with ImageNet's mean, the default tag with 0.5.
        (VIT, f"{VIT}.dino.safetensors", f"{VIT}.dino", "as for .*dino, by the file's name"),
        (VIT, f"timm-{VIT}.dino.pth", f"{VIT}.dino", "as for .*dino, by the file's name"),
        (f"{VIT}.dino", f"{VIT}.dino.safetensors", f"{VIT}.dino", "^$"),
        (f"{VIT}+token", f"{VIT}.dino.pth", f"{VIT}.dino+token", "as for .*dino, by the file"),
        (VIT, "mine.pth", VIT, r"normalised by mean \(0\.5, .* differ in this .*dino"),
        (VIT, "deit_small_patch16_224.fb_in1k.pth", VIT, "has the name of deit_small.*mean .0.485"),
        (f"{VIT}.dino", f"{VIT}.augreg_in1k.pth", f"{VIT}.dino", "has the name of .*augreg_in1k"),
        ("resnet18", "mine.pth", "resnet18", "^$"),  # all of its tags take the same
    ],
)
def test_pixels_are_normalised_as_the_file_was_trained_or_doubt_is_told(
    model: str, file: str, takes: str, remark: str
) -> None:
    variant, words = make_encoder(model).match_file(file)
    assert variant == takes
    assert re.search(remark, words)


@pytest.mark.long
def test_a_file_named_by_its_tag_gives_the_map_that_the_tagged_name_gives(
    tmp_path: Path, pixels: torch.Tensor
) -> None:
    variant, file = f"{VIT}:blocks.1", tmp_path / f"{VIT}.dino.safetensors"
    save_file(timm.create_model(VIT).state_dict(), file)
    given = {"encoder": "timm", "split": POOL, "seed": 0}
    plain, words = load_starting_model(file, variant=variant, **given)
    tagged, _ = load_starting_model(file, variant=f"{VIT}.dino:blocks.1", **given)
    assert "note: pixels are normalised as for vit_small_patch16_224.dino" in words
    save_model(tmp_path / "ours.pt", plain)
    ours, _ = load_starting_model(tmp_path / "ours.pt", variant=variant, **given)
    maps = [load_trunk(m, torch.float32)(pixels) for m in (plain, tagged, ours)]
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[2], maps[1])
    network = timms_own(VIT, parse_checkpoint(file, encoder="timm", variant=VIT).state,
                        dynamic_img_size=True)  # fmt: skip
    with torch.inference_mode():
        (expected,) = network.forward_intermediates(
            normalised(pixels[:, 5:69, 6:86], IMAGENET), indices=[1], intermediates_only=True
        )
    torch.testing.assert_close(maps[0], expected, atol=1e-4, rtol=1e-4)


def test_bfloat16_turns_local_features_by_little(pixels: torch.Tensor) -> None:
    for variant in ("resnet10t", SMALL_DINO):
        state = random_state(variant)
        exact = run_trunk(variant, state, POOL, pixels)
        trunk = load_trunk(Model("timm", variant, POOL, state), torch.bfloat16)
        with torch.inference_mode():
            maps = trunk(pixels)
        assert maps.dtype == torch.bfloat16
        assert torch.cosine_similarity(maps.float(), exact, dim=1).min() > 0.99


def test_the_bound_on_memory_holds_for_the_widest_layer() -> None:
    # resnet18: the stem's 64 channels at half the size, before and after its BatchNorm.
    assert make_encoder("resnet18").values_per_pixel >= 2 * 64 / 4
    # A block of DINOv2-small: 384 values of a patch and four times as many in its MLP, twice.
    assert make_encoder(DINO).values_per_pixel >= 2 * 4 * 384 / 14**2


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (None, r"trunk\.model = null: .* needs the name of one of timm's models"),
        ("resnet18:", r"trunk\.model = resnet18:: "),
        (
            "resnet_18x",
            r"trunk\.model = resnet_18x: timm .* no such model: did you .* resnet18 ",
        ),
        ("resnet18.nope", r"trunk\.model = resnet18\.nope: "),
        ("resnet18:layer5", r"has no layer layer5 .* layer3, layer4"),
    ],
)
def test_a_model_that_is_not_there_is_told(variant: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_encoder("timm", variant).splits  # noqa: B018 # asking is what looks it up


def test_other_weights_by_name_are_told() -> None:
    given = {"encoder": "timm", "variant": "resnet10t", "split": POOL, "seed": 0}
    with pytest.raises(
        ValueError, match=r"weights = imagenet: trunk\.encoder = timm knows pretrained and random"
    ):
        load_starting_model(Path("imagenet"), **given)
    with pytest.raises(ValueError, match=r"timm has no weights of mixer_s16_224"):
        make_encoder("mixer_s16_224").initial_state("pretrained", 0)


def test_weights_out_of_reach_say_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=(
        r"^pretrained\.weights = pretrained: https://huggingface\.co/timm/[^\n]*"
        r"put it here as models/pretrained/resnet10t\.c3_in1k\.safetensors"
    )):  # fmt: skip
        make_encoder("resnet10t").initial_state("pretrained", 0)


def test_a_head_that_is_the_pool_alone_does_not_import_timm() -> None:
    with imported_anew("vpr", "timm"):
        import_module("vpr.features.encoder").load_encoder("timm", "resnet10t").trainable(POOL)
        assert "vpr.features.timm_networks" in sys.modules and "timm" not in sys.modules
