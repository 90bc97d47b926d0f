"""Any model of timm that has a feature map: convolutional networks and vision transformers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.encoder import ALL, POOL, PREFIX, did_you_mean, draw_state
from vpr.features.foreign_networks import (
    Adopted,
    find_chain,
    keep_layers,
    normalise,
    run_measured,
)
from vpr.runtime.foreign_code import foreign_code

Network = Any  # one of timm's, which has no types

COUNTER = "num_batches_tracked"
# What the published models of place recognition call a network of timm's or torchvision's: Conv-AP
# and MixVPR, BoQ, CosPlace and EigenPlaces; the latter three number a ResNet's layers.
BEFORE = ("backbone.model.", "backbone.net.", "backbone.")
RESNET = {"0": "conv1", "1": "bn1"} | {str(n + 3): f"layer{n}" for n in (1, 2, 3, 4)}
TOKEN = "+token"  # noqa: S105 (of a transformer)
SMALLEST_PX = 32  # side of an image below which no map is no surprise
# What makes a transformer take images of any size, by the names in timm; not each model has one.
ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


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
        num_prefix: Tokens that stand for no patch: the class token and registers.
        keeps_token: Whether they stay above the map after the last layer too.
        mean, deviation: Of RGB in [0, 1], which the weights were trained with.
    """

    kind: str
    layers: tuple[str, ...]
    splits: dict[str, int]
    map_index: int
    norm: bool
    patch_px: tuple[int, int]
    num_prefix: int
    keeps_token: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class TimmEncoder:
    """A model of timm up to a layer; timm is imported when something of it is first asked for.

    Convolutional networks are split before any stage or block that the image passes one after the
    other, vision transformers (ViT, DeiT, DINOv2) before any block but the first. Others, such as
    Swin and DINOv3, run whole, with the split `pool` or `all`. Stored features of a transformer
    that is split have its prefix tokens in rows above the map, since the blocks that train look at
    them.

    Args:
        name: The model's name in timm, `resnet18` or `resnet18.a1_in1k` with the weights' tag.
            With `+token` after it, a vision transformer's class token stays in a row above the
            map, for aggregators that take it, and positions are resampled as in DINOv2's own code.
        layer: The last layer in use, such as `layer3` or `blocks.8`; None: the model's last map,
            after the last norm where there is one.
    """

    weights = ("pretrained", "random")
    num_scales = 1

    def __init__(self, name: str, layer: str | None) -> None:
        """Keep the names."""
        self.name, self.layer = name, layer
        self.origin = (
            f"{name} of timm (Apache-2.0)" + (f" up to {layer}" if layer else "")
            + "; its weights have a licence of their own, see the model's card"
        )  # fmt: skip

    @property
    def splits(self) -> tuple[str, ...]:
        """All, layers that can be the first to train, and the pool."""
        return (ALL, *_plan(self.name, self.layer).splits, POOL)

    @property
    def values_per_pixel(self) -> int:
        """Computed for the model's own size of image."""
        return _values_per_pixel(self.name, self.layer)

    def frozen(self, split: str) -> nn.Module:
        """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""
        plan = _plan(self.name, self.layer)
        return _OfPixels(self.name, plan, last=self._place(split))

    def trainable(self, split: str) -> nn.Module:
        """Make the layers from the split on: (N, C, H', W') -> (N, D, H'', W'')."""
        if split == POOL:
            return nn.Sequential()
        plan = _plan(self.name, self.layer)
        return _OfMaps(self.name, plan, first=self._place(split))

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what the frozen part makes of one image, by running it on meta.

        Raises:
            ValueError: If the model takes no image of this size.
        """
        return _map_shape(self.name, self.layer, self._place(split), height_px, width_px)

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Weights by name: `pretrained` (by timm's loader) or `random` (drawn from the seed)."""
        if weights == "pretrained":
            return self._select(_load_pretrained(self.name)), f"{self.name}, weights by timm"
        return draw_state(self, seed), f"{self.name} of random weights, seed {seed}"

    def canonical(self, name: str) -> str | None:
        """Name in a model of a tensor of timm's; None for a classifier's, or of a later layer."""
        if name.endswith((COUNTER, "mask_token")):  # the latter of DINOv2's own training
            return None
        in_use, every = _state_names(self.name, self.layer), _every_name(self.name)
        for spelling in _spellings(name):
            if spelling in in_use:
                return PREFIX + spelling
            if spelling in every or spelling.startswith(_heads(self.name)):
                return None
        return name

    def fold(self, frozen: nn.Module) -> None:
        """Leave the frozen part as it is."""

    def match_file(self, name: str) -> tuple[str, str]:
        """Find the model that a file's weights are of: they decide how pixels are normalised.

        Weights of one architecture were trained with different means and deviations, by their tag.

        Args:
            name: The file's, such as `vit_small_patch16_224.dino.safetensors`, which timm's hub has
                under that name.

        Returns:
            The value of `trunk.model` with the tag as far as it is known, and in words what is
            uncertain.
        """
        plain = self.name.removesuffix(TOKEN)
        architecture, _, tag = plain.partition(".")
        mine, named = _normalisation(plain), _find_named(name)
        rest = self.name.removeprefix(plain) + (f":{self.layer}" if self.layer else "")
        if named and not tag and named.startswith(f"{architecture}."):
            return named + rest, f"pixels are normalised as for {named}, by the file's name"
        words = ""
        if named and _normalisation(named) != mine:
            words = (
                f"the file has the name of {named}, which takes {_normalisation(named)}, and "
                f"trunk.model = {self.name} takes {mine}: name the one that the weights are of"
            )
        elif not tag and len(kinds := _tags(architecture)) > 1:
            listed = "; ".join(f"{', '.join(tags)}: {kind}" for kind, tags in kinds.items())
            words = (
                f"pixels are normalised by {mine}, and weights of {architecture} differ in this "
                f"({listed}): name yours in trunk.model, as {architecture}.TAG"
            )
        return plain + rest, words

    def _select(self, network: Network) -> dict[str, Tensor]:
        state, names = network.state_dict(), _state_names(self.name, self.layer)
        return {PREFIX + name: state[name] for name in names}

    def _place(self, split: str) -> int:
        plan = _plan(self.name, self.layer)
        return len(plan.layers) if split == POOL else plan.splits[split]


def make_encoder(variant: str | None) -> TimmEncoder:
    """Make the encoder of a model, as `resnet18`, `resnet18:layer3` or `NAME+token`.

    Raises:
        ValueError: If no model is named.
    """
    form = re.fullmatch(r"(?P<name>\w+(\.\w+)?(\+token)?)(:(?P<layer>.+))?", variant or "")
    if form is None:
        raise ValueError(
            f"trunk.model = {'null' if variant is None else variant}: trunk.encoder = timm needs "
            "the name of one of timm's models, such as resnet18 or vit_small_patch14_dinov2, and "
            "if need be its last layer in use, as resnet18:layer3; see docs/encoders.md"
        )
    return TimmEncoder(form["name"], form["layer"])


class _OfPixels(Adopted):
    """The layers before the one of number `last`."""

    def __init__(self, name: str, plan: Plan, *, last: int) -> None:
        network = _make_network(name)
        self.kept = plan.layers[:last]
        if plan.kind == "chain":
            keep_layers(network, self.kept)
        else:
            is_whole = last == len(plan.layers)
            norm = plan.norm and is_whole
            index = plan.map_index if is_whole else last - 1
            (index,) = network.prune_intermediate_layers(
                indices=[index], prune_norm=not norm and plan.kind == "tokens"
            )
            self.settings = {"indices": [index], "norm": norm, "intermediates_only": True}
            if plan.keeps_token or not is_whole:
                self.settings |= {"return_prefix_tokens": True}
        super().__init__(network, f"trunk.model = {name}")
        self.plan = plan

    def run(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8, in the weights' precision."""
        plan = self.plan
        images = _crop(normalise(pixels, plan.mean, plan.deviation), plan.patch_px)
        images = images.to(next(self.parameters()).dtype)
        if plan.kind == "chain":
            return _run(self.network, self.kept, images)
        made = self.network.forward_intermediates(images, **self.settings)[-1]
        if isinstance(made, Tensor):
            return made
        return _add_rows(*made)


class _OfMaps(Adopted):
    """The layers from the one of number `first` on."""

    def __init__(self, name: str, plan: Plan, *, first: int) -> None:
        network = _make_network(name)
        kept = plan.layers[first:]
        keep_layers(network, kept)
        super().__init__(network, f"trunk.model = {name}")
        self.plan = plan
        self.kept = kept

    def run(self, maps: Tensor) -> Tensor:
        """Local features (N, D, H'', W'') of maps (N, C, H', W')."""
        if self.plan.kind == "chain":
            return _run(self.network, self.kept, maps)
        count, width = self.plan.num_prefix, maps.shape[3]
        flat = maps.flatten(2).transpose(1, 2)  # (N, H' * W', C)
        patches = flat[:, -(-count // width) * width :]
        tokens = _run(self.network, self.kept, torch.cat([flat[:, :count], patches], dim=1))
        made = _in_rows(tokens[:, count:].transpose(1, 2), width)
        return _add_rows(made, tokens[:, :count]) if self.plan.keeps_token else made


def _add_rows(maps: Tensor, prefix: Tensor) -> Tensor:
    """Maps (N, C, rows + H', W') with tokens (N, P, C) above, filled up with zeros to rows."""
    count, width = prefix.shape[1], maps.shape[3]
    rows = functional.pad(prefix.transpose(1, 2), (0, -count % width))  # (N, C, rows * W')
    return torch.cat([_in_rows(rows, width), maps], dim=2)


def _in_rows(flat: Tensor, width: int) -> Tensor:
    """Maps (N, C, H, W) of positions (N, C, H * W), row after row."""
    return flat.reshape(*flat.shape[:2], -1, width)


def _run(network: nn.Module, layers: tuple[str, ...], values: Tensor) -> Tensor:
    for name in layers:
        values = network.get_submodule(name)(values)
    return values


def _crop(images: Tensor, patch_px: tuple[int, int]) -> Tensor:
    """The middle of images, of whole patches."""
    for dim, patch in zip((2, 3), patch_px, strict=True):
        rest = images.shape[dim] % patch
        images = images.narrow(dim, rest // 2, images.shape[dim] - rest)
    return images


def _create(name: str, *, pretrained: bool = False) -> Network:
    """A network of timm, able to take images of any size if it can be, in evaluation mode."""
    import timm  # here, since a run whose head is the pool alone need not wait for it

    name = name.removesuffix(TOKEN)
    if not timm.is_model(name.partition(".")[0]):
        words = did_you_mean(name.partition(".")[0], timm.list_models())
        raise ValueError(f"trunk.model = {name}: timm {timm.__version__} has no such model{words}")
    for settings in ANY_SIZE:
        try:
            with foreign_code(f"trunk.model = {name}"):
                return timm.create_model(name, pretrained=pretrained, **settings).eval()
        except ValueError as error:  # perhaps the model has no such setting
            if not any(key in str(error.__cause__) for key in settings):
                raise
    raise AssertionError


def _make_network(name: str) -> Network:
    """A network whose BatchNorm stays as it is trained; the global generator is left alone."""
    from timm.layers import freeze_batch_norm_2d

    with torch.random.fork_rng(devices=[]):
        network = freeze_batch_norm_2d(_create(name))
    if name.endswith(TOKEN):
        _check_token(network, name)
        network._pos_embed = partial(_embed_positions, network)
    for place, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm1d):
            parent, _, child = place.rpartition(".")
            setattr(network.get_submodule(parent), child, _FrozenNorm(module))
    return network


def _check_token(network: Network, name: str) -> None:
    grid: tuple[int, int] = getattr(getattr(network, "patch_embed", None), "grid_size", (0, 0))
    shape = getattr(getattr(network, "pos_embed", None), "shape", (0, 0, 0))
    has_one = getattr(network, "num_prefix_tokens", 0) == 1
    if not has_one or grid[0] != grid[1] or shape[1] != 1 + grid[0] ** 2:
        raise ValueError(
            f"trunk.model = {name}: {TOKEN} is of vision transformers with one class token and a "
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


class _FrozenNorm(nn.Module):
    """BatchNorm of tokens that stays as it was trained, its scales and shifts included."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, trained: nn.BatchNorm1d) -> None:
        super().__init__()
        self.eps = trained.eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensor = getattr(trained, name)
            self.register_buffer(name, None if tensor is None else tensor.detach())

    def forward(self, values: Tensor) -> Tensor:
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )  # fmt: skip


@lru_cache(maxsize=8)
def _meta_network(name: str) -> Network:
    """The whole network without values."""
    with torch.device("meta"):
        return _make_network(name)


@lru_cache(maxsize=8)
def _plan(name: str, layer: str | None) -> Plan:
    """Find out how the map is made, by an image without values that passes the network.

    Raises:
        ValueError: If the model has no map, or no such layer.
    """
    from timm.models.vision_transformer import VisionTransformer

    network = _meta_network(name)
    own = network.pretrained_cfg
    channels, *size = own["input_size"]
    infos = [info["module"] for info in getattr(network, "feature_info", [])]
    if channels != 3 or not infos or not hasattr(network, "forward_intermediates"):
        raise ValueError(f"trunk.model = {name}: timm's model has no feature map of RGB images")
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", 1)
    patch_px = tuple(patch) if isinstance(patch, tuple | list) else (patch, patch)
    plan = Plan(
        "whole", (), {}, len(infos) - 1, True, patch_px,
        getattr(network, "num_prefix_tokens", 0), name.endswith(TOKEN),
        tuple(own["mean"]), tuple(own["std"]),
    )  # fmt: skip
    # timm gives maps of stages and blocks, but nothing that goes on from one, nor what lies between
    # stages: so the layers that a convolutional network is a chain of are found by watching it.
    images = torch.zeros(1, 3, *size, device="meta")
    if type(network).forward_intermediates is VisionTransformer.forward_intermediates:
        blocks = tuple(f"blocks.{number}" for number in range(len(network.blocks)))
        splits = {block: number for number, block in enumerate(blocks) if number}
        plan = plan._replace(kind="tokens", layers=(*blocks, "norm"), splits=splits)
    else:
        with foreign_code(f"trunk.model = {name}"):
            norm, chain = _find_chain(network, images)
        splits = _find_splits(network, chain, infos)
        kind = "chain" if chain else "whole"
        plan = plan._replace(kind=kind, layers=chain, splits=splits, norm=norm)
    return plan if layer is None else _end_at(plan, layer, infos, name)


def _end_at(plan: Plan, layer: str, infos: list[str], name: str) -> Plan:
    """The plan up to a layer."""
    if plan.kind == "whole":
        if layer in infos:
            return plan._replace(map_index=infos.index(layer), norm=False)
        names = infos
    else:
        ends = [n for n, one in enumerate(plan.layers) if f"{one}.".startswith(f"{layer}.")]
        if ends:
            kept = plan.layers[: ends[-1] + 1]
            splits = {split: n for split, n in plan.splits.items() if n < len(kept)}
            norm = kept[-1] == "norm"
            return plan._replace(
                layers=kept, splits=splits, norm=norm, map_index=len(kept) - norm - 1
            )
        names = [*plan.layers]
    raise ValueError(
        f"trunk.model = {name}:{layer}: the model has no layer {layer} that a map can be taken "
        f"after; there are {', '.join(dict.fromkeys([*infos, *names]))}"
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


@lru_cache(maxsize=8)
def _meta_part(name: str, layer: str | None, last: int) -> _OfPixels:
    with torch.device("meta"):
        return _OfPixels(name, _plan(name, layer), last=last).eval()


@lru_cache(maxsize=8)
def _state_names(name: str, layer: str | None) -> dict[str, None]:
    plan = _plan(name, layer)
    return dict.fromkeys(_meta_part(name, layer, len(plan.layers)).state_dict())


@lru_cache(maxsize=8)
def _every_name(name: str) -> dict[str, None]:
    return dict.fromkeys(_meta_network(name).state_dict())


def _spellings(name: str) -> Iterator[str]:
    """A tensor's name, and without what published models put before it or a ResNet's numbers."""
    yield name
    for prefix in BEFORE:
        if name.startswith(prefix):
            first, dot, rest = name.removeprefix(prefix).partition(".")
            yield RESNET.get(first, first) + dot + rest
            return


@lru_cache(maxsize=4096)
def _map_shape(
    name: str, layer: str | None, last: int, height_px: int, width_px: int
) -> tuple[int, int, int]:
    plan = _plan(name, layer)
    own = tuple(_meta_network(name).pretrained_cfg["input_size"][1:])
    try:
        if any(size < p for size, p in zip((height_px, width_px), plan.patch_px, strict=True)):
            raise RuntimeError("smaller than a patch")
        pixels = torch.zeros(1, height_px, width_px, 3, dtype=torch.uint8, device="meta")
        with torch.no_grad():
            channels, height, width = _meta_part(name, layer, last).run(pixels).shape[1:]
    except Exception as error:  # of timm's code
        if min(height_px, width_px) < SMALLEST_PX:
            return _map_shape(name, layer, last, *own)[0], 0, 0
        raise ValueError(
            f"trunk.model = {name}: an image of {width_px}x{height_px} pixels does not pass: "
            f"{str(error) or type(error).__name__}; its own size is {own[1]}x{own[0]}: set "
            f"trunk.image_size to [{own[0]}, {own[1]}] and trunk.max_side_px to null"
        ) from None
    return channels, height, width


@lru_cache(maxsize=8)
def _values_per_pixel(name: str, layer: str | None) -> int:
    part = _meta_part(name, layer, len(_plan(name, layer).layers))
    height, width = _meta_network(name).pretrained_cfg["input_size"][1:]
    pixels = torch.zeros(1, height, width, 3, dtype=torch.uint8, device="meta")
    return run_measured(part, lambda: part(pixels), num_pixels=height * width)[1]


def _load_pretrained(name: str) -> Network:
    own = _meta_network(name).pretrained_cfg
    if own.get("hf_hub_id"):
        file = own.get("hf_hub_filename") or "model.safetensors"
        source = f"https://huggingface.co/{own['hf_hub_id']}/resolve/main/{file}"
    elif own.get("url"):
        source = own["url"]
    else:
        raise ValueError(
            f"pretrained.weights = pretrained: timm has no weights of {name}: set "
            "pretrained.weights to random or to a file of models/pretrained"
        )
    own_name = f"{own['architecture']}.{own['tag']}" if own.get("tag") else own["architecture"]
    local = own_name + Path(source).suffix
    try:
        with torch.random.fork_rng(devices=[]):
            return _create(name, pretrained=True)
    except OSError as error:
        raise OSError(
            f"pretrained.weights = pretrained: {source} could not be downloaded "
            f"({str(error).splitlines()[0]}). On a machine with access download it, put it here "
            f"as models/pretrained/{local}, and set pretrained.weights to {local}"
        ) from None


def _normalisation(name: str) -> str:
    """Mean and deviation of a model's pixels, in words."""
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name)
    return "the default" if config is None else f"mean {config.mean}, deviation {config.std}"


def _tags(architecture: str) -> dict[str, list[str]]:
    """Tags of an architecture's weights by how their pixels are normalised."""
    from timm.models import get_arch_pretrained_cfgs

    kinds: dict[str, list[str]] = {}
    for name in get_arch_pretrained_cfgs(architecture):
        kinds.setdefault(_normalisation(name), []).append(name.partition(".")[2])
    return kinds


def _find_named(file: str) -> str | None:
    """The model of timm, with its tag, that a file is named after."""
    from timm.models import get_arch_pretrained_cfgs

    words = re.split(r"\W+", file)
    names = (f"{one}.{tag}" for one, tag in pairwise(words))
    return next((n for n in names if n in get_arch_pretrained_cfgs(n)), None)


def _heads(name: str) -> tuple[str, ...]:
    """How names of a classifier's tensors begin; a file may have one though the model does not."""
    heads = _meta_network(name).pretrained_cfg.get("classifier") or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
