"""MixVPR equals a slow reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.slow_layers import Weights, check_unit, images, layer_norm, linear
from vpr.aggregators.mixvpr import MixVPR, draw_aggregator, make_aggregator
from vpr.network.aggregator import descriptor_width


def test_it_mixes_positions_four_times_then_projects_channels_and_positions() -> None:
    layer = MixVPR(5, 6, out_channels=3, rows=2)
    weights = Weights(layer)
    for batch, image in images(5, 2, 3):
        values = image.reshape(5, 6)  # a row of positions for each channel
        for number in range(4):
            name = f"mix.{number}.mix"
            hidden = linear(weights, f"{name}.1", layer_norm(weights, f"{name}.0", values))
            values = values + linear(weights, f"{name}.3", np.maximum(hidden, 0))
        projected = linear(weights, "channel_proj", values.T).T  # (3, 6)
        expected = linear(weights, "row_proj", projected)  # (3, 2)
        check_unit(layer(batch), expected.ravel())
    assert not weights.left


@pytest.mark.parametrize(
    ("out_dim", "channels", "rows"), [(None, 1024, 4), (4096, 1024, 4), (512, 256, 2), (128, 64, 2)]
)
def test_published_sizes_are_made_and_read(out_dim: int | None, channels: int, rows: int) -> None:
    with torch.device("meta"):
        layer = draw_aggregator(1024, out_dim)
        state = layer.state_dict()
        assert state["channel_proj.weight"].shape == (channels, 1024)
        assert state["row_proj.weight"].shape == (rows, 400)
        again = make_aggregator(state).state_dict()
    assert {n: t.shape for n, t in again.items()} == {n: t.shape for n, t in state.items()}
    width = descriptor_width("mixvpr", 1024, num_clusters=64, out_dim=out_dim)
    assert width == channels * rows


def test_a_map_of_another_size_is_refused_with_what_to_set() -> None:
    layer = MixVPR(5, 6, out_channels=3, rows=2)
    with pytest.raises(ValueError, match=r"takes 6 positions, found a map of 2x4: .*\[320, 320\]"):
        layer(torch.rand(1, 5, 2, 4))
    with pytest.raises(ValueError, match=r"descriptor_dim = 513: mixvpr needs a multiple of 2"):
        draw_aggregator(5, 513)
