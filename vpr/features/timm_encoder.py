"""A network of timm as an encoder, split into a frozen part and one that trains."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpr.features.encoder import ALL, POOL, PREFIX, Encoder, draw_state
from vpr.features.external_networks import Adopted, Chain, keep_layers, run_measured
from vpr.features.input_rules import InputRule
from vpr.features.timm_networks import Source, find_plan, make_network, meta_network

COUNTER = "num_batches_tracked"
# What the published models of place recognition call a network of timm's or torchvision's: Conv-AP,
# MixVPR and SALAD, BoQ with a ResNet and with DINOv2, CosPlace, EigenPlaces and MegaLoc. BoQ,
# CosPlace and EigenPlaces number a ResNet's layers, the latter two VGG16's.
BEFORE = ("backbone.model.", "backbone.net.", "backbone.dino.", "backbone.")
RESNET = {"0": "conv1", "1": "bn1"} | {str(n + 3): f"layer{n}" for n in (1, 2, 3, 4)}
SMALLEST_PX = 32  # side of an image below which no map is no surprise


class NetworkOfTimm(Encoder):
    """A network of timm; timm is imported when something of it is first asked for.

    Convolutional networks are split before any stage or block that the image passes one after the
    other, vision transformers (ViT, DeiT, DINOv2) before any block but the first. Others, such as
    Swin and DINOv3, run whole, with the split `pool` or `all`. Stored features of a transformer
    that is split have its prefix tokens in rows above the map, since the blocks that train look at
    them.

    Args:
        source: The network.
        origin: What it is and its licences, in words.
        rule: What its images are; None: photos as they are, normalised as timm says.
    """

    weights: tuple[str, ...] = ("random",)

    def __init__(self, source: Source, origin: str, rule: InputRule | None = None) -> None:
        """Keep the names."""
        self.source, self.origin, self.rule = source, origin, rule

    @property
    def splits(self) -> tuple[str, ...]:
        """All, layers that can be the first to train, and the pool."""
        return (ALL, *find_plan(self.source).splits, POOL)

    @property
    def values_per_pixel(self) -> int:
        """Computed for the model's own size of image."""
        return _values_per_pixel(self.source)

    def frozen(self, split: str) -> nn.Module:
        """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""
        return _OfPixels(self.source, self.rule, last=self._place(split))

    def trainable(self, split: str) -> nn.Module:
        """Make the layers from the split on: (N, C, H', W') -> (N, D, H'', W'')."""
        if split == POOL:
            return nn.Sequential()
        source, plan = self.source, find_plan(self.source)
        layers = Chain(make_network(source), plan.layers[self._place(split) :], source.subject)
        return layers if plan.kind == "chain" else _OfTokens(layers, source)

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what the frozen part makes of one image, by running it on meta.

        Raises:
            ValueError: If the model takes no image of this size.
        """
        return _map_shape(self.source, self._place(split), height_px, width_px)

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Draw weights from the seed."""
        return draw_state(self, seed), f"{self.source.name} of random weights, seed {seed}"

    def canonical(self, name: str) -> str | None:
        """Name in a model of a tensor of timm's; None for a classifier's, or of a later layer."""
        if name.endswith((COUNTER, "mask_token")):  # the latter of DINOv2's own training
            return None
        in_use, every = state_names(self.source), _every_name(self.source)
        spellings = list(_spellings(name))
        for spelling in spellings:
            if spelling in in_use:
                return PREFIX + spelling
        if any(s in every or s.startswith(_heads(self.source)) for s in spellings):
            return None
        return name

    def _place(self, split: str) -> int:
        plan = find_plan(self.source)
        return len(plan.layers) if split == POOL else plan.splits[split]


class _OfPixels(Adopted):
    """The layers before the one of number `last`."""

    def __init__(self, source: Source, rule: InputRule | None, *, last: int) -> None:
        network, plan = make_network(source), find_plan(source)
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
            if source.keeps_token or not is_whole:
                self.settings |= {"return_prefix_tokens": True}
        super().__init__(network, source.subject)
        self.plan = plan
        self.rule = rule or plan.rule

    def run(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8, in the weights' precision."""
        images = _crop(self.rule.images(pixels), self.plan.patch_px)
        images = images.to(next(self.parameters()).dtype)
        if self.plan.kind == "chain":
            for name in self.kept:
                images = self.get_submodule(name)(images)
            return images
        made = self.network.forward_intermediates(images, **self.settings)[-1]
        if isinstance(made, Tensor):
            return made
        return _add_rows(*made)


class _OfTokens(Adopted):
    """Blocks of a transformer, for maps whose first rows have its prefix tokens."""

    def __init__(self, blocks: Chain, source: Source) -> None:
        super().__init__(blocks, source.subject)
        self.num_prefix, self.keeps_token = find_plan(source).num_prefix, source.keeps_token

    def run(self, maps: Tensor) -> Tensor:
        """Local features (N, D, H'', W'') of maps (N, C, H', W')."""
        count, width = self.num_prefix, maps.shape[3]
        flat = maps.flatten(2).transpose(1, 2)  # (N, H' * W', C)
        patches = flat[:, -(-count // width) * width :]
        tokens = self.network.run(torch.cat([flat[:, :count], patches], dim=1))
        made = _in_rows(tokens[:, count:].transpose(1, 2), width)
        return _add_rows(made, tokens[:, :count]) if self.keeps_token else made


def _add_rows(maps: Tensor, prefix: Tensor) -> Tensor:
    """Maps (N, C, rows + H', W') with tokens (N, P, C) above, filled up with zeros to rows."""
    count, width = prefix.shape[1], maps.shape[3]
    rows = functional.pad(prefix.transpose(1, 2), (0, -count % width))  # (N, C, rows * W')
    return torch.cat([_in_rows(rows, width), maps], dim=2)


def _in_rows(flat: Tensor, width: int) -> Tensor:
    """Maps (N, C, H, W) of positions (N, C, H * W), row after row."""
    return flat.reshape(*flat.shape[:2], -1, width)


def _crop(images: Tensor, patch_px: tuple[int, int]) -> Tensor:
    """The middle of images, of whole patches."""
    for dim, patch in zip((2, 3), patch_px, strict=True):
        rest = images.shape[dim] % patch
        images = images.narrow(dim, rest // 2, images.shape[dim] - rest)
    return images


@lru_cache(maxsize=8)
def _meta_part(source: Source, last: int) -> _OfPixels:
    with torch.device("meta"):
        return _OfPixels(source, None, last=last).eval()


@lru_cache(maxsize=8)
def state_names(source: Source) -> dict[str, None]:
    """Names of the tensors in use, as timm has them, in order."""
    last = len(find_plan(source).layers)
    return dict.fromkeys(_meta_part(source, last).state_dict())


@lru_cache(maxsize=8)
def _every_name(source: Source) -> dict[str, None]:
    return dict.fromkeys(meta_network(source).state_dict())


def _heads(source: Source) -> tuple[str, ...]:
    """How names of a classifier's tensors begin; a file may have one though the model does not."""
    heads = meta_network(source).pretrained_cfg.get("classifier") or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))


def _spellings(name: str) -> Iterator[str]:
    """A tensor's name, and without what published models put before it or numbers for layers."""
    yield name
    for prefix in BEFORE:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            first, _, inner = rest.partition(".")
            yield from (f"{RESNET.get(first, first)}.{inner}" if inner else rest,
                        f"features.{rest}")  # fmt: skip
            return


@lru_cache(maxsize=4096)
def _map_shape(source: Source, last: int, height_px: int, width_px: int) -> tuple[int, int, int]:
    own = tuple(meta_network(source).pretrained_cfg["input_size"][1:])
    patch_px = find_plan(source).patch_px
    try:
        if any(size < p for size, p in zip((height_px, width_px), patch_px, strict=True)):
            raise RuntimeError("smaller than a patch")
        pixels = torch.zeros(1, height_px, width_px, 3, dtype=torch.uint8, device="meta")
        with torch.no_grad():
            channels, height, width = _meta_part(source, last).run(pixels).shape[1:]
    except Exception as error:  # of timm's code
        if min(height_px, width_px) < SMALLEST_PX:
            return _map_shape(source, last, *own)[0], 0, 0
        raise ValueError(
            f"{source.subject}: an image of {width_px}x{height_px} pixels does not pass: "
            f"{str(error) or type(error).__name__}; its own size is {own[1]}x{own[0]}: set "
            f"trunk.image_size to [{own[0]}, {own[1]}] and trunk.max_side_px to null"
        ) from None
    return channels, height, width


@lru_cache(maxsize=8)
def _values_per_pixel(source: Source) -> int:
    part = _meta_part(source, len(find_plan(source).layers))
    height, width = meta_network(source).pretrained_cfg["input_size"][1:]
    pixels = torch.zeros(1, height, width, 3, dtype=torch.uint8, device="meta")
    return run_measured(part, lambda: part(pixels), num_pixels=height * width)[1]
