"""Conv-AP equals a slow reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.slow_layers import Weights, check_unit, images
from vpr.aggregators.convap import ConvAP, draw_aggregator, make_aggregator
from vpr.network.aggregator import descriptor_width, draw_pool


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])  # of odd sizes cells share a row or column
def test_each_channel_is_averaged_over_each_quarter(size: tuple[int, int]) -> None:
    layer = ConvAP(3, 8)
    weights = Weights(layer)
    height, width = size
    rows = [range(-(-height // 2)), range(height // 2, height)]
    columns = [range(-(-width // 2)), range(width // 2, width)]
    for batch, image in images(3, *size):
        expected = []
        for mixed, bias in zip(weights["channel_pool.weight"][:, :, 0, 0],
                               weights["channel_pool.bias"], strict=True):  # fmt: skip
            for down in rows:
                for across in columns:
                    values = [mixed @ image[:, y, x] + bias for y in down for x in across]
                    expected.append(sum(values) / len(values))
        check_unit(layer(batch), np.array(expected))
    assert not weights.left


def test_its_sizes_are_read_from_its_tensors() -> None:
    state = ConvAP(3, 8).state_dict()
    made = make_aggregator(state)
    assert {n: t.shape for n, t in made.state_dict().items()} == {n: t.shape for n, t in state.items()}  # fmt: skip # noqa: E501
    drawn = draw_pool("convap", 5, out_dim=None, seed=0)
    assert drawn["pool.channel_pool.weight"].shape == (5, 5, 1, 1)
    assert descriptor_width("convap", 5, num_clusters=64, out_dim=None) == 20
    with pytest.raises(ValueError, match=r"descriptor_dim = 10: convap needs a multiple of 4"):
        draw_aggregator(5, 10)
