"""A published place recognition model whole, by torch.hub: its descriptor is a map of one position.

Its code is external, see `vpr.runtime.external_code`.
"""

from __future__ import annotations

import copy
import re
from functools import lru_cache

import torch
from torch import Tensor, nn

from vpr.features.encoder import PREFIX, Encoder
from vpr.features.external_networks import Adopted, run_measured
from vpr.features.input_rules import InputRule
from vpr.runtime.external_code import ALLOW, Entry, external_code, parse_entry, run_entry

CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # of the networks that see 0 to 255
PROBE_PX = 224  # side of the image by which a model is measured that takes any size

SIZED = re.compile(r"(?P<call>.+?)(?P<size>@\d+x\d+)?")
EXAMPLE = (
    "owner/name@<40 digits of a commit>:entry(key=value), or a local folder with a hubconf.py, as "
    "/path/to/folder:entry(key=value); see docs/encoders.md"
)


# By the repository in small letters and a word of the call: as the authors' own evaluation has it,
# or VPR-methods-evaluation. Other models get images as they are.
KNOWN = {
    ("gmberton/megaloc", ""): InputRule(multiple_px=14),  # as the model itself would resize them
    ("gmberton/cosplace", ""): InputRule(),
    ("gmberton/eigenplaces", ""): InputRule(),
    ("amaralibey/bag-of-queries", "dinov2"): InputRule((322, 322), mode="bicubic"),
    ("amaralibey/bag-of-queries", ""): InputRule((384, 384), mode="bicubic"),
    ("serizba/salad", ""): InputRule((322, 322), in_bytes=True),
    ("enrico-chiavassa/indoor-vpr", "salad"): InputRule(multiple_px=14),
    ("enrico-chiavassa/indoor-vpr", ""): InputRule(),
    ("jarvisyjw/mixvpr", ""): InputRule((320, 320), in_bytes=True),
    ("lu-feng/cricavpr", ""): InputRule((224, 224)),
    ("anyloc/dino", ""): InputRule(multiple_px=14),
    ("yxgeee/openibl", ""): InputRule(mean=CAFFE_MEAN, std=(1 / 255, 1 / 255, 1 / 255)),  # SFRS
}


# Commits at which a repository gives wrong descriptors or none, by their first digits: what is
# wrong, and one that is right.
BROKEN = {
    ("gmberton/megaloc", ("e31e8e0", "4003e8d")): (
        "swaps height and width of the positions", "1af071c68fc3ab6c6018c5c868391763516e50f7"
    ),
    ("amaralibey/bag-of-queries", ("1a17a4d",)): (
        "cannot load its released weights", "1a4965ea7dfd9bd0dd846adf7a0e430f68101d12"
    ),
}  # fmt: skip


class HubEncoder(Encoder):
    """A model of torch.hub, all of it frozen.

    Args:
        variant: The value of `trunk.model`.
    """

    weights = ("pretrained",)

    def __init__(self, variant: str) -> None:
        """Read the name; no external code runs before something of the model is asked for."""
        self.variant = variant
        entry, self.rule = parse_source(variant)
        self.is_fixed = entry.commit is not None
        self.origin = (
            f"{variant} by torch.hub: foreign code and weights, under licences of their own; they "
            f"run with {ALLOW}=1 alone"
        )

    @property
    def values_per_pixel(self) -> int:
        """Twice the input and output of its widest layer, with the image beside them."""
        return _measure(self.variant)[1]

    def frozen(self, split: str) -> nn.Module:
        """Make the whole model: RGB uint8 (N, H, W, 3) -> (N, D, 1, 1)."""
        with external_code(f"trunk.model = {self.variant}"):
            network = copy.deepcopy(_load(self.variant)).to(torch.empty(0).device)
        return _OfPixels(network, self.rule, f"trunk.model = {self.variant}")

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (D, 1, 1) of an image's descriptor, whatever its size."""
        return _measure(self.variant)[0], 1, 1

    def size_seen(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width that an image is resized to."""
        return self.rule.size_seen(height_px, width_px)

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """The weights that come with the model."""
        state = _load(self.variant).state_dict()
        return {PREFIX + name: tensor for name, tensor in state.items()}, self.variant

    def canonical(self, name: str) -> str | None:
        """Refuse a file: the weights come with the model."""
        raise ValueError(
            "trunk.encoder = hub takes no file of weights, since they come with the model: set "
            "pretrained.weights to pretrained"
        )


def make_encoder(variant: str | None) -> HubEncoder:
    """Make the encoder of a model, such as `owner/name@commit:entry(key=value)`.

    Raises:
        ValueError: If no model is named, or not in this form.
    """
    if variant is None:
        raise ValueError(f"trunk.model = null: trunk.encoder = hub needs one, as {EXAMPLE}")
    return HubEncoder(variant)


def parse_source(variant: str) -> tuple[Entry, InputRule]:
    """Read where a model comes from and how it is made, and what images it takes.

    Args:
        variant: As `parse_entry` reads it, each form with `@HxW` after it if images are to be
            resized to another size than `KNOWN` has.

    Raises:
        ValueError: If it has another form, or a repository no commit or one known to be wrong.
    """
    setting, sized = f"trunk.model = {variant}", SIZED.fullmatch(variant)
    entry = parse_entry(sized["call"] if sized else "", setting=setting, example=EXAMPLE)
    repository = entry.place.lower()
    for (repo, digits), (problem, right) in BROKEN.items():
        if entry.commit is not None and repository == repo and entry.commit.startswith(digits):
            raise ValueError(f"{setting}: this commit {problem}: take {right}")
    rule = next(
        (rule for (repo, word), rule in KNOWN.items() if repo == repository and word in variant),
        InputRule(),
    )
    if sized and sized["size"]:
        height, width = (int(side) for side in sized["size"][1:].split("x"))
        rule = rule._replace(size_px=(height, width))
    if rule.size_px is not None and min(rule.size_px) < 1:
        raise ValueError(f"{setting}: expected a size of at least 1x1 pixels")
    return entry, rule


class _OfPixels(Adopted):
    """A model that sees images."""

    def __init__(self, network: nn.Module, rule: InputRule, subject: str) -> None:
        super().__init__(network, subject)
        self.rule = rule

    def run(self, pixels: Tensor) -> Tensor:
        """Descriptors (N, D, 1, 1) of RGB (N, H, W, 3), uint8, in the weights' precision."""
        images = self.rule.images(pixels)
        precision = next((t.dtype for t in self.parameters()), torch.float32)
        return _describe(self.network, images.to(precision))


def _describe(network: nn.Module, images: Tensor) -> Tensor:
    """Descriptors (N, D, 1, 1); of several outputs the first."""
    made = network(images)
    found = made[0] if isinstance(made, tuple | list) else made
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(images):
        words = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"expected a model that gives descriptors ({len(images)}, D) of {len(images)} images, "
            f"found {words}"
        )
    return found[:, :, None, None]


@lru_cache(maxsize=2)
def _load(variant: str) -> nn.Module:
    """The model with its weights, on the CPU; see `run_entry`.

    Raises:
        ValueError: If the entry does not make a model.
    """
    setting = f"trunk.model = {variant}"
    network = run_entry(parse_source(variant)[0], setting=setting)
    network = network.module if isinstance(network, nn.DataParallel) else network
    if not isinstance(network, nn.Module):
        raise ValueError(f"{setting}: expected a torch.nn.Module, found {type(network).__name__}")
    return network.eval().requires_grad_(False).cpu()  # DataParallel and some entries take a GPU


@lru_cache(maxsize=2)
def _measure(variant: str) -> tuple[int, int]:
    """Dimensions of the descriptor, and values held for each pixel, by one black image."""
    network, (_, rule) = _load(variant), parse_source(variant)
    with torch.device("cpu"), external_code(f"trunk.model = {variant}"):
        images = rule.images(torch.zeros(1, PROBE_PX, PROBE_PX, 3, dtype=torch.uint8))
        made, values = run_measured(
            network, lambda: _describe(network, images), num_pixels=images[0, 0].numel()
        )
    return made.shape[1], values
