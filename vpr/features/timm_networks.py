"""Networks of timm: made under their own names, and which layers their map is a chain of."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.encoder import did_you_mean
from vpr.features.external_networks import find_chain, freeze_norms
from vpr.features.input_rules import InputRule
from vpr.runtime.external_code import external_code

Network = Any  # one of timm's, which has no types

TOKEN = "+token"  # noqa: S105 (of a transformer)
# What makes a transformer take images of any size, by the names in timm; not each model has one.
ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


class Source(NamedTuple):
    """A network of timm, and what of it is the map.

    Args:
        name: The model's name in timm, `resnet18` or `resnet18.a1_in1k` with the weights' tag.
        layer: The last layer in use, such as `layer3` or `blocks.8`; None: the model's last map,
            after the last norm where there is one.
        keeps_token: Whether a vision transformer's class token stays in a row above the map, for
            aggregators that take it.
        as_dinov2: Whether positions are resampled as in DINOv2's own code, not as in timm.
    """

    name: str
    layer: str | None = None
    keeps_token: bool = False
    as_dinov2: bool = False

    @property
    def subject(self) -> str:
        """What messages begin with."""
        return f"trunk.model = {self.name}{TOKEN if self.keeps_token else ''}"


class Plan(NamedTuple):
    """How a model's map is made: which layers it is a chain of, one after the other.

    Args:
        kind: `chain` of an image: layers alone; `tokens`: layers of a transformer's tokens, after
            its patches and positions; `whole`: the model's own code, which cannot be split.
        layers: Names of the layers in order; of tokens, the blocks and the last norm.
        splits: Layers that can be the first to train, and for each its place in `layers`.
        map_index: Of the map among the model's intermediates, where its own code makes it.
        norm: Whether the model's last norm follows there.
        patch_px: Height and width that an image's are cropped to multiples of.
        num_prefix: Tokens without a patch: the class token and registers.
        rule: Normalises photos as the weights were trained with.
    """

    kind: str
    layers: tuple[str, ...]
    splits: dict[str, int]
    map_index: int
    norm: bool
    patch_px: tuple[int, int]
    num_prefix: int
    rule: InputRule


def create(source: Source, *, pretrained: bool = False) -> Network:
    """Make a network as timm does, for images of any size if it can be, in evaluation mode.

    Raises:
        ValueError: If timm has no such model, or does not make it.
    """
    import timm  # here, since a run whose head is the pool alone need not wait for it

    name, subject = source.name, source.subject
    if not timm.is_model(name.partition(".")[0]):
        words = did_you_mean(name.partition(".")[0], timm.list_models())
        raise ValueError(f"{subject}: timm {timm.__version__} has no such model{words}")
    for settings in ANY_SIZE:
        try:
            with external_code(subject):
                return timm.create_model(name, pretrained=pretrained, **settings).eval()
        except ValueError as error:  # perhaps the model has no such setting
            if not any(key in str(error.__cause__) for key in settings):
                raise
    raise AssertionError


def make_network(source: Source) -> Network:
    """Make a network whose BatchNorm stays as it is trained; the global generator is left alone."""
    from timm.layers import freeze_batch_norm_2d

    with torch.random.fork_rng(devices=[]):
        network = freeze_batch_norm_2d(create(source))
    if source.as_dinov2:
        _check_positions(network, source)
        network._pos_embed = partial(_embed_positions, network)
    freeze_norms(network, nn.BatchNorm1d)
    return network


@lru_cache(maxsize=8)
def meta_network(source: Source) -> Network:
    """Make the whole network without values, whatever layer is its last in use."""
    with torch.device("meta"):
        return make_network(source)


def _check_positions(network: Network, source: Source) -> None:
    grid: tuple[int, int] = getattr(getattr(network, "patch_embed", None), "grid_size", (0, 0))
    shape = getattr(getattr(network, "pos_embed", None), "shape", (0, 0, 0))
    has_one = getattr(network, "num_prefix_tokens", 0) == 1
    if not has_one or grid[0] != grid[1] or shape[1] != 1 + grid[0] ** 2:
        raise ValueError(
            f"{source.subject}: {TOKEN} is of vision transformers with one class token and a "
            "square grid of positions, as vit_base_patch14_dinov2"
        )


def _embed_positions(network: Network, patches: Tensor) -> Tensor:
    """Tokens (N, 1 + H * W, C) of patches (N, H, W, C), with positions as DINOv2 resamples them.

    Bicubic without antialiasing, at the scale (H + 0.1) / side. timm's own has an antialias and the
    scale H / side, and gives other features than the weights that were trained so.
    """
    batch, height, width, channels = patches.shape
    own, grid = network.pos_embed[:, :1], network.pos_embed[:, 1:]
    side = math.isqrt(grid.shape[1])
    if (height, width) != (side, side):
        square = grid.float().reshape(1, side, side, channels).permute(0, 3, 1, 2)
        scale = (height + 0.1) / side, (width + 0.1) / side
        resampled = functional.interpolate(square, scale_factor=scale, mode="bicubic")
        grid = resampled.flatten(2).transpose(1, 2).to(patches.dtype)
    tokens = torch.cat([network.cls_token.expand(batch, -1, -1), patches.flatten(1, 2)], dim=1)
    embedded: Tensor = network.pos_drop(tokens + torch.cat([own, grid], dim=1))
    return embedded


@lru_cache(maxsize=8)
def find_plan(source: Source) -> Plan:
    """Find out how the map is made, by an image without values that passes the network.

    Raises:
        ValueError: If the model has no map, or no such layer.
    """
    from timm.models.vision_transformer import VisionTransformer

    network = meta_network(source)
    own = network.pretrained_cfg
    channels, *size = own["input_size"]
    infos = [info["module"] for info in getattr(network, "feature_info", [])]
    if channels != 3 or not infos or not hasattr(network, "forward_intermediates"):
        raise ValueError(f"{source.subject}: timm's model has no feature map of RGB images")
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", 1)
    patch_px = tuple(patch) if isinstance(patch, tuple | list) else (patch, patch)
    plan = Plan(
        "whole", (), {}, len(infos) - 1, True, patch_px,
        getattr(network, "num_prefix_tokens", 0),
        InputRule(mean=tuple(own["mean"]), std=tuple(own["std"])),
    )  # fmt: skip
    # timm gives maps of stages and blocks, but nothing that goes on from one, nor what lies between
    # stages: so the layers that a convolutional network is a chain of are found by watching it.
    images = torch.zeros(1, 3, *size, device="meta")
    if type(network).forward_intermediates is VisionTransformer.forward_intermediates:
        blocks = tuple(f"blocks.{number}" for number in range(len(network.blocks)))
        splits = {block: number for number, block in enumerate(blocks) if number}
        plan = plan._replace(kind="tokens", layers=(*blocks, "norm"), splits=splits)
    else:
        with external_code(source.subject):
            norm, chain = _find_chain(network, images)
        splits = _find_splits(network, chain, infos)
        kind = "chain" if chain else "whole"
        plan = plan._replace(kind=kind, layers=chain, splits=splits, norm=norm)
    return plan if source.layer is None else _end_at(plan, source.layer, infos, source.subject)


def _end_at(plan: Plan, layer: str, infos: list[str], subject: str) -> Plan:
    """The plan up to a layer."""
    if plan.kind == "whole" and layer in infos:
        return plan._replace(map_index=infos.index(layer), norm=False)
    ends = [n for n, name in enumerate(plan.layers) if f"{name}.".startswith(f"{layer}.")]
    if ends:
        kept = plan.layers[: ends[-1] + 1]
        splits = {split: n for split, n in plan.splits.items() if n < len(kept)}
        norm = kept[-1] == "norm"
        return plan._replace(layers=kept, splits=splits, norm=norm, map_index=len(kept) - norm - 1)
    raise ValueError(
        f"{subject}:{layer}: the model has no layer {layer} that a map can be taken "
        f"after; there are {', '.join(dict.fromkeys([*infos, *plan.layers]))}"
    )


def _find_splits(network: nn.Module, chain: tuple[str, ...], infos: list[str]) -> dict[str, int]:
    """Layers before which a chain can be split: those with weights, and timm's stages."""
    splits: dict[str, int] = {}
    for place, name in enumerate(chain):
        if not place:
            continue
        for stage in infos:
            before = chain[place - 1]
            if name.startswith(f"{stage}.") and not before.startswith(f"{stage}."):
                splits[stage] = place
        if any(tensor.dim() > 1 for tensor in network.get_submodule(name).parameters()):
            splits[name] = place
    return splits


def _find_chain(network: Network, images: Tensor) -> tuple[bool, tuple[str, ...]]:
    """Whether timm puts the last norm on the last map, and the chain of layers up to there."""

    def run(*, norm: bool) -> Tensor:
        with torch.no_grad():
            maps: Tensor = network.forward_intermediates(
                images, indices=1, norm=norm, intermediates_only=True
            )[-1]
        return maps

    try:
        return True, find_chain(network, images, partial(run, norm=True))
    except AssertionError:  # as Hiera's, whose norm is for pooled features alone
        return False, find_chain(network, images, partial(run, norm=False))
