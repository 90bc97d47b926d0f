"""Every aggregator of the drawer goes through the head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.repositories import ROOT
from vpr.features.model import Model
from vpr.network.aggregator import descriptor_width, draw_pool, load_aggregator
from vpr.network.head import load_head

DRAWN = {"gem": None, "convap": 64, "mixvpr": 128, "boq": 2048, "salad": None}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_one_describes_and_every_tensor_of_it_trains(name: str) -> None:
    state = draw_pool(name, 128, out_dim=DRAWN[name], seed=3)
    again = draw_pool(name, 128, out_dim=DRAWN[name], seed=3)
    assert all(torch.equal(again[key], tensor) for key, tensor in state.items())
    head = load_head(Model("dense_rootsift", None, "pool", state, name))
    maps = torch.rand(2, 128, 20, 20, generator=torch.Generator().manual_seed(0))
    maps[:, :, 0, 1:] = 0  # a row of SALAD's token
    descriptors = head(maps)
    width = descriptor_width(name, 128, num_clusters=64, out_dim=DRAWN[name])
    assert descriptors.shape == (2, width)
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(head(maps[1:]), descriptors[1:], atol=1e-5, rtol=1e-4)
    descriptors[:, : width // 2].sum().backward()
    assert all(tensor.grad is not None for tensor in head.pool.parameters())


def test_each_file_is_tried_here_or_in_a_test_of_its_own() -> None:
    files = {file.stem for file in Path(ROOT, "vpr/aggregators").glob("[!_]*.py")}
    assert files == {*DRAWN, "netvlad", "none"}


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"aggregator = mix_vpr: .*boq, .*did you mean mixvpr\?"):
        load_aggregator("mix_vpr")
