"""The seam of aggregators: local features -> descriptor, each a file of `vpr/aggregators/`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vpr.features.encoder import BringsAggregator, did_you_mean
from vpr.runtime.external_code import external_code

DRAWER = Path(__file__).parents[1] / "aggregators"
PREFIX = "pool."  # of an aggregator's tensors in a model, as the reference has it


class Aggregator(Protocol):
    """What a file of the drawer has.

    Args:
        MARK: Name in the layer of a tensor that no other aggregator has.
    """

    MARK: str | None

    def make_aggregator(self, state: Mapping[str, Tensor]) -> nn.Module:
        """Make the layer: maps (N, C, H, W), float32 -> unit rows (N, D).

        It has an attribute `channels`, C of the maps that it takes, or None if it takes any.

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


def list_aggregators() -> list[str]:
    """List the files of the drawer."""
    return sorted(file.stem for file in DRAWER.glob("[!_]*.py"))


def load_aggregator(name: str) -> Aggregator:
    """Import an aggregator from the drawer.

    Raises:
        ValueError: If there is no such file.
    """
    names = list_aggregators()
    if name not in names:
        raise ValueError(
            f"finetune.aggregator = {name}: there is no file vpr/aggregators/{name}.py; there are "
            f"{', '.join(names)}{did_you_mean(name, names)}"
        )
    aggregator: Aggregator = import_module(f"vpr.aggregators.{name}")
    return aggregator


def recognise_aggregator(tensors: Mapping[str, object]) -> str | None:
    """Find out which aggregator tensors bring, by their names in a model; None if none."""
    return next(
        (name for name in list_aggregators() if f"{PREFIX}{load_aggregator(name).MARK}" in tensors),
        None,
    )


def make_pool(aggregator: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Make an aggregator, its sizes read from the tensors of a model; they are not loaded.

    Raises:
        ValueError: If a tensor that says its size is missing.
    """
    state = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(PREFIX)
    }
    try:
        return load_aggregator(aggregator).make_aggregator(state)
    except KeyError as error:
        raise ValueError(f"{PREFIX}{error.args[0]}: missing") from None


def pool_shapes(
    aggregator: str, tensors: Mapping[str, Tensor], channels: int
) -> dict[str, tuple[int, ...]]:
    """Compute the shape of each tensor of an aggregator, by its name in a model.

    Args:
        aggregator: A file of `vpr/aggregators`.
        tensors: Those of a model, which say its sizes.
        channels: C of the maps that it is to take.

    Raises:
        ValueError: If it cannot take them, or a tensor that says its size is missing.
    """
    with torch.device("meta"), external_code(f"pool: not {aggregator}'s"):  # of strangers' sizes
        layer = make_pool(aggregator, tensors)
    if layer.channels not in (None, channels):
        raise ValueError(
            f"pool: {aggregator} of {layer.channels} channels, the encoder's maps have {channels}"
        )
    return {f"{PREFIX}{name}": tuple(t.shape) for name, t in layer.state_dict().items()}


def draw_pool(
    aggregator: str, channels: int, *, out_dim: int | None, seed: int
) -> dict[str, Tensor]:
    """Draw the first tensors of an aggregator, by their names in a model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = load_aggregator(aggregator).draw_aggregator(channels, out_dim).state_dict()
    return {f"{PREFIX}{name}": tensor for name, tensor in state.items()}


def sized_tensors(encoder: BringsAggregator) -> dict[str, Tensor]:
    """Tensors without values that say the sizes of a published aggregator, by names in a model."""
    return {
        f"{PREFIX}{name}": torch.empty(shape, device="meta")
        for name, shape in encoder.sizes.items()
    }


def draw_published(encoder: BringsAggregator, seed: int) -> dict[str, Tensor]:
    """Draw a published aggregator's tensors, by their names in a model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = make_pool(encoder.aggregator, sized_tensors(encoder)).state_dict()
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
