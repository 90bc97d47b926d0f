"""A published method: a network of timm, what its images are, and the aggregator of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from vpr.features.encoder import choose_variant
from vpr.features.input_rules import InputRule
from vpr.features.timm_encoder import NetworkOfTimm
from vpr.features.timm_networks import Source

Shapes = Mapping[str, tuple[int, ...]]  # of tensors, by their names in the aggregator
# By the protocol: recall@1 in per cent, and where it is from.
Figures = Mapping[str, tuple[float, str]]
DINOV2 = Source("vit_base_patch14_dinov2", as_dinov2=True)


class Method(NamedTuple):
    """One of a method's models, as its authors evaluate it.

    Args:
        source: Its network.
        aggregator: The value that `finetune.aggregator` must have.
        dim: Values of a descriptor.
        sizes: Shapes of the tensors that say the aggregator's sizes.
        rule: What its images are.
        published: Its figures.
    """

    source: Source
    aggregator: str
    dim: int
    sizes: Shapes
    rule: InputRule
    published: Figures


def gem_methods(
    networks: Mapping[str, tuple[str, int, Sequence[int]]], figures: Mapping[str, Figures]
) -> dict[str, Method]:
    """Describe networks with GeM and a linear layer, on photos as they are: CosPlace, EigenPlaces.

    Args:
        networks: By timm's name: the last layer in use, its channels, and the values of a
            descriptor that there are files of.
        figures: By the model, such as `resnet50_2048`.
    """
    return {
        (name := f"{network}_{dim}"): Method(
            Source(network, layer), "gem", dim, {"linear.weight": (dim, channels)}, InputRule(),
            figures.get(name, {}),
        )
        for network, (layer, channels, dims) in networks.items() for dim in dims
    }  # fmt: skip


class PublishedEncoder(NetworkOfTimm):
    """A method's network, whose weights are a file of its authors with the aggregator's.

    Args:
        method: One of its models.
        origin: What it is, and its licence.
    """

    rule: InputRule

    def __init__(self, method: Method, origin: str) -> None:
        """Keep what it is."""
        super().__init__(method.source, origin, method.rule)
        self.aggregator, self.dim, self.sizes = method.aggregator, method.dim, method.sizes
        self.published = method.published

    def size_seen(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width that a photo is resized to."""
        return self.rule.size_seen(height_px, width_px)

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what the frozen part makes of one image."""
        return super().map_shape(split, *self.size_seen(height_px, width_px))


def encoder_maker(
    name: str, methods: Mapping[str, Method], *, licence: str
) -> Callable[[str | None], PublishedEncoder]:
    """Make the function `make_encoder` of a published method's file.

    Args:
        name: The value of `trunk.encoder`.
        methods: By the values of `trunk.model`, the first of which is the default.
        licence: Of the authors' code.
    """

    def make_encoder(variant: str | None) -> PublishedEncoder:
        chosen = choose_variant(name, variant, tuple(methods))
        origin = f"{name} {chosen}, the authors' weights ({licence}) on timm's network (Apache-2.0)"
        return PublishedEncoder(methods[chosen], origin)

    return make_encoder
