"""BoQ equals a slow reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.slow_layers import (
    Array,
    Weights,
    attention,
    check_unit,
    images,
    layer_norm,
    linear,
)
from vpr.aggregators.boq import BoQ, draw_aggregator, make_aggregator
from vpr.network.aggregator import descriptor_width

DIM, HEADS = 128, 2  # 64 channels of each head


def convolve(weights: Weights, image: Array) -> Array:
    """3x3 with a border of zeros, a row for each position."""
    kernel, bias = weights["proj_c.weight"], weights["proj_c.bias"]
    channels, height, width = image.shape
    padded = np.zeros((channels, height + 2, width + 2))
    padded[:, 1:-1, 1:-1] = image
    return np.array([
        (kernel * padded[:, y : y + 3, x : x + 3]).sum(axis=(1, 2, 3)) + bias
        for y in range(height) for x in range(width)
    ])  # fmt: skip


def encode(weights: Weights, name: str, tokens: Array) -> Array:
    """Attention, then two layers, each added to its input and normalised after that."""
    attended = attention(weights, f"{name}.self_attn", tokens, tokens, heads=HEADS)
    tokens = layer_norm(weights, f"{name}.norm1", tokens + attended)
    hidden = np.maximum(linear(weights, f"{name}.linear1", tokens), 0)
    return layer_norm(weights, f"{name}.norm2", tokens + linear(weights, f"{name}.linear2", hidden))


@pytest.mark.parametrize("with_gradients", [True, False])  # torch computes them in other ways
def test_queries_of_two_blocks_attend_to_the_positions(with_gradients: bool) -> None:
    layer = BoQ(3, DIM, num_queries=4, num_rows=5).eval()
    weights = Weights(layer)
    for batch, image in images(3, 2, 3):
        tokens = layer_norm(weights, "norm_input", convolve(weights, image))
        answers = []
        for number in range(2):
            name = f"boqs.{number}"
            tokens = encode(weights, f"{name}.encoder", tokens)
            queries = weights[f"{name}.queries"][0]
            attended = attention(weights, f"{name}.self_attn", queries, queries, heads=HEADS)
            queries = layer_norm(weights, f"{name}.norm_q", queries + attended)
            found = attention(weights, f"{name}.cross_attn", queries, tokens, heads=HEADS)
            answers.append(layer_norm(weights, f"{name}.norm_out", found))
        expected = linear(weights, "fc", np.concatenate(answers).T)  # (DIM, 5)
        with torch.set_grad_enabled(with_gradients):
            check_unit(layer(batch), expected.ravel())
    assert not weights.left


@pytest.mark.parametrize(("out_dim", "dim"), [(None, 512), (16384, 512), (12288, 384)])
def test_published_sizes_are_made_and_read(out_dim: int | None, dim: int) -> None:
    with torch.device("meta"):
        state = draw_aggregator(768, out_dim).state_dict()
        again = make_aggregator(state).state_dict()
    assert state["proj_c.weight"].shape == (dim, 768, 3, 3)
    assert state["boqs.1.queries"].shape == (1, 64, dim)
    assert state["boqs.0.cross_attn.in_proj_weight"].shape == (3 * dim, dim)
    assert state["fc.weight"].shape == (32, 128)
    assert {n: t.shape for n, t in again.items()} == {n: t.shape for n, t in state.items()}
    assert descriptor_width("boq", 768, num_clusters=64, out_dim=out_dim) == dim * 32
    with pytest.raises(ValueError, match=r"descriptor_dim = 4000: boq needs a multiple of 2048"):
        draw_aggregator(768, 4000)
