"""The seam of aggregators: local features -> descriptor, each a file of `vpr/aggregators/`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vpr.features.encoder import did_you_mean
from vpr.features.model import Model

DRAWER = Path(__file__).parents[1] / "aggregators"
PREFIX = "pool."  # of an aggregator's tensors in a model, as the reference has it


class Aggregator(Protocol):
    """What a file of the drawer has."""

    def make_aggregator(self, state: Mapping[str, Tensor]) -> nn.Module:
        """Make the layer: maps (N, C, H, W), float32 -> unit rows (N, D).

        Args:
            state: Tensors by their names in the layer, which say its sizes; they are not loaded.
        """

    def draw_aggregator(self, channels: int, out_dim: int | None) -> nn.Module:
        """Make the layer with its first tensors; NetVLAD's come from local features instead.

        Args:
            channels: C of the maps.
            out_dim: `finetune.descriptor_dim`.
        """

    def descriptor_width(self, channels: int, *, num_clusters: int, out_dim: int | None) -> int:
        """Compute how many values D a descriptor has."""


@runtime_checkable
class Clustering(Protocol):
    """An aggregator that assigns local features to clusters, as NetVLAD.

    Args:
        centroids: Shape (K, C).
    """

    centroids: Tensor

    def assign(self, unit: Tensor) -> Tensor:
        """Soft assignment (N, K, H * W) of unit local features (N, C, H, W)."""


def load_aggregator(name: str) -> Aggregator:
    """Import an aggregator from the drawer.

    Raises:
        ValueError: If there is no such file.
    """
    names = sorted(file.stem for file in DRAWER.glob("[!_]*.py"))
    if name not in names:
        raise ValueError(
            f"finetune.aggregator = {name}: there is no file vpr/aggregators/{name}.py; there are "
            f"{', '.join(names)}{did_you_mean(name, names)}"
        )
    aggregator: Aggregator = import_module(f"vpr.aggregators.{name}")
    return aggregator


def make_pool(model: Model) -> nn.Module:
    """Make the aggregator of a model, its sizes read from the tensors; they are not loaded.

    Raises:
        ValueError: If the model has no tensors of it.
    """
    state = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in model.tensors.items()
        if name.startswith(PREFIX)
    }
    return load_aggregator(model.aggregator).make_aggregator(state)


def draw_pool(
    aggregator: str, channels: int, *, out_dim: int | None, seed: int
) -> dict[str, Tensor]:
    """Draw the first tensors of an aggregator, by their names in a model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = load_aggregator(aggregator).draw_aggregator(channels, out_dim).state_dict()
    return {f"{PREFIX}{name}": tensor for name, tensor in state.items()}


def descriptor_width(
    aggregator: str, channels: int, *, num_clusters: int, out_dim: int | None
) -> int:
    """Compute how many values a descriptor has.

    Args:
        aggregator: A file of `vpr/aggregators`.
        channels: C of the maps.
        num_clusters: K of NetVLAD.
        out_dim: `finetune.descriptor_dim`.
    """
    return load_aggregator(aggregator).descriptor_width(
        channels, num_clusters=num_clusters, out_dim=out_dim
    )
