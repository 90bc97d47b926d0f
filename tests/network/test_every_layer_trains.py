"""With `trunk.trainable_from: all` pixels are stored, and the whole encoder trains."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

import tests.support.small_networks  # noqa: F401 - registers them
from vpr.encoders.vgg16 import make_encoder
from vpr.features.encoder import ALL, POOL, PREFIX, find_split, load_encoder, tensor_shapes
from vpr.features.local_features import features_of
from vpr.features.model import Model
from vpr.features.trunk import check_features, load_trunk
from vpr.network.aggregator import draw_pool
from vpr.network.head import load_head
from vpr.training.epochs import train_epoch
from vpr.training.losses import make_batch_loss, measure_places
from vpr.training.place_batches import label_places

pytestmark = pytest.mark.usefixtures("narrow_vgg16")
SWIN = "small_swin_tiny_patch4_window7_224"  # runs whole, with dropout of paths
NETWORKS = [
    ("vgg16", None, "conv5_1", "0.weight"),
    ("efficientnet_lite", "lite0", "blocks.4.2", "conv_stem.weight"),
    ("timm", "small_vit_tiny_patch16_224", "blocks.2", "patch_embed.proj.weight"),
    ("timm", SWIN, POOL, "patch_embed.proj.weight"),
]


def start(name: str, variant: str | None, split: str) -> Model:
    """A model of random weights, with a pool that needs no clusters."""
    encoder = load_encoder(name, variant)
    tensors, _ = encoder.initial_state("random", 0)
    channels = encoder.map_shape(POOL, 64, 64)[0]
    return Model(
        name, variant, split, tensors | draw_pool("gem", channels, out_dim=None, seed=0), "gem"
    )


@pytest.mark.parametrize(("name", "variant", "split", "first"), NETWORKS)
def test_descriptors_are_those_of_another_split_and_the_first_layer_has_a_gradient(
    name: str, variant: str | None, split: str, first: str
) -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    ours, other = start(name, variant, ALL), start(name, variant, split)
    stored = load_trunk(ours, torch.float32)(pixels)
    assert stored.shape == (2, *load_trunk(ours, torch.float32).map_shape(64, 64))
    assert torch.equal(stored.permute(0, 2, 3, 1), pixels.float())
    head = load_head(ours)
    found = head(stored)
    with torch.inference_mode():
        expected = load_head(other)(load_trunk(other, torch.float32)(pixels))
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)

    found[0, 0].backward()
    gradient = dict(head.named_parameters())[PREFIX + first].grad
    assert gradient is not None
    assert gradient.abs().max() > 0
    assert not ours.parts()[0].tensors
    assert ours.parts()[1].tensors.keys() == other.tensors.keys()


def test_a_network_with_dropout_trains_without_chance() -> None:
    shapes = np.full((4, 2), 224)
    rows = np.random.default_rng(0).integers(0, 256, (4 * 224**2, 3)).astype(np.float32)
    features = features_of(rows, shapes)
    batches = [label_places([np.array([0, 1]), np.array([2, 3])])]
    measure = partial(measure_places, loss=make_batch_loss("triplet", margin=0.9, mined=True))
    heads = [load_head(start("timm", SWIN, ALL)) for _ in range(2)]
    records = [
        train_epoch(
            head, torch.optim.SGD(head.parameters(), lr=1e-3), features, batches, measure,
            clip_norm=None, title="", device=torch.device("cpu"),
        )
        for head in heads
    ]  # fmt: skip
    assert records[0] == records[1]
    assert records[0]["gradient_norm"] > 0


def test_float16_of_pixels_is_refused_on_a_cpu_as_of_features() -> None:
    trunk = load_trunk(start("vgg16", None, ALL), torch.float16)
    with pytest.raises(ValueError, match="float16"):
        check_features(["a"], [(48, 64)], trunk, torch.device("cpu"))


def test_pixels_are_exact_in_every_precision() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 8, 32, 1).expand(1, 8, 32, 3)
    for precision in (torch.bfloat16, torch.float16):
        stored = load_trunk(start("vgg16", None, ALL), precision)(pixels)
        assert stored.dtype == precision
        assert torch.equal(stored.permute(0, 2, 3, 1).int(), pixels.int())


def test_an_encoder_without_layers_that_train_has_no_such_split() -> None:
    assert find_split("vgg16", None, ALL) == ALL
    assert not tensor_shapes(make_encoder(), ALL)
    with pytest.raises(ValueError, match=r"trainable_from = all: .* one of pool$"):
        find_split("dense_rootsift", None, ALL)
