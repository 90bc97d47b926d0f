"""GeM equals its equation, and no aggregator passes on a descriptor alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vpr.aggregators.gem import GeM
from vpr.aggregators.none import Whole
from vpr.features.model import Model
from vpr.network.aggregator import descriptor_width, draw_pool
from vpr.network.head import load_head


@pytest.mark.parametrize("exponent", [1.0, 3.0, 4.7])
def test_gem_equals_the_equation(exponent: float) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
    layer = GeM(5, None)
    layer.p.data.fill_(exponent)
    found = layer(torch.from_numpy(maps)).detach().numpy()
    for image, row in zip(maps, found, strict=True):
        literal = []
        for channel in image:
            powers = [max(float(value), 1e-6) ** exponent for value in channel.ravel()]
            literal.append((sum(powers) / len(powers)) ** (1 / exponent))
        np.testing.assert_allclose(row, literal / np.linalg.norm(literal), rtol=1e-4)


def test_gems_exponent_and_linear_layer_train() -> None:
    layer = GeM(5, 3)
    descriptors = layer(torch.rand(2, 5, 3, 4))
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(2))
    descriptors[:, 0].sum().backward()
    assert layer.p.grad is not None and layer.linear is not None
    assert layer.p.grad.abs() > 0 and layer.linear.weight.grad.abs().max() > 0


def test_a_linear_layer_sees_unit_features_as_in_cosplace() -> None:
    layer, maps = GeM(5, 3), torch.rand(2, 5, 3, 4)
    longer = maps * torch.rand(2, 1, 3, 4).add(0.5)
    torch.testing.assert_close(layer(longer), layer(maps))


def test_a_model_with_gem_is_read_back() -> None:
    for out_dim in (None, 3):
        state = draw_pool("gem", 128, out_dim=out_dim, seed=7)
        assert all(
            torch.equal(tensor, state[name])
            for name, tensor in draw_pool("gem", 128, out_dim=out_dim, seed=7).items()
        )
        head = load_head(Model("dense_rootsift", None, "pool", state, "gem"))
        layer, maps = GeM(128, out_dim), torch.rand(1, 128, 2, 3)
        layer.load_state_dict({name.removeprefix("pool."): t for name, t in state.items()})
        assert torch.equal(head(maps), layer(maps)) and layer(maps).shape == (1, out_dim or 128)
        assert descriptor_width("gem", 128, num_clusters=64, out_dim=out_dim) == (out_dim or 128)


def test_none_passes_on_one_position_alone() -> None:
    torch.testing.assert_close(Whole()(torch.full((1, 4, 1, 1), 3.0)), torch.full((1, 4), 0.5))
    with pytest.raises(ValueError, match=r"finetune.aggregator = none: .* map of 2x3 positions"):
        Whole()(torch.rand(1, 4, 2, 3))
    head = load_head(Model("dense_rootsift", None, "pool", {}, "none"))
    with pytest.raises(ValueError, match=r"clusters are needed, .* set finetune\.aggregator to"):
        head.netvlad()
