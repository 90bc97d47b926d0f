"""VGG16 up to conv5_3, the encoder of the challenge's NetVLAD."""

from __future__ import annotations

import http.client
import math
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from vpr.features.encoder import ALL, POOL, PREFIX, Encoder, choose_variant, tensor_shapes
from vpr.features.input_rules import MEAN, STD, normalise
from vpr.runtime.hashing import check_sha256

NUM_MODULES = 29  # features[:-2]: conv5_3 is the last, before its ReLU and pooling
LAYERS = {
    "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12,
    "conv3_3": 14, "conv4_1": 17, "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26,
    "conv5_3": 28,
}  # fmt: skip
CONV_MODULES = tuple(LAYERS.values())
POOL_MODULES = (4, 9, 16, 23)  # each halves height and width, rounding down
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)  # around them

IMAGENET_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"  # torchvision's
IMAGENET_SHA256 = "397923af"  # its first digits, which torchvision has in the file's name


class Vgg16(Encoder):
    """VGG16 up to conv5_3 without its ReLU.

    Simonyan & Zisserman, ICLR 2015; Arandjelović et al., CVPR 2016, section 5.1.
    """

    origin = "VGG16; ImageNet's weights by torchvision (BSD-3-Clause)"
    weights = ("imagenet", "random")
    splits = (ALL, *list(LAYERS)[1:], POOL)
    # conv1_2's input and output have 64 channels each; measured on a CPU: 139 to 156 values.
    values_per_pixel = 160

    def frozen(self, split: str) -> nn.Module:
        """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""
        return _OfPixels(OrderedDict(build_layers(0, _first(split)).named_children()))

    def trainable(self, split: str) -> nn.Module:
        """Make the layers from the split on: (N, C, H', W') -> (N, 512, H'', W'')."""
        return build_layers(_first(split), NUM_MODULES)

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what the frozen part makes of one image."""
        first = _first(split)
        halvings = sum(pool < first for pool in POOL_MODULES)
        channels = CHANNELS[sum(conv < first for conv in CONV_MODULES)]
        return channels, height_px >> halvings, width_px >> halvings

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Find weights by name: `random` (drawn from the seed) or `imagenet` (torchvision's)."""
        if weights == "random":
            return random_weights(seed), f"random weights of seed {seed}"
        return _imagenet_weights(), "VGG16 trained on ImageNet, by torchvision"


def make_encoder(variant: str | None = None) -> Vgg16:
    """Make the encoder, of which there is one."""
    choose_variant("vgg16", variant, ("vgg16",))
    return Vgg16()


class _OfPixels(nn.Sequential):
    """Layers of which the first sees an image."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8, in the weights' precision."""
        precision = next(self.parameters()).dtype
        maps: Tensor = super().forward(normalise(pixels, MEAN, STD).to(precision))  # type: ignore[no-untyped-call] # torch's own
        return maps


def build_layers(first: int, last: int) -> nn.Sequential:
    """Make the modules first..last-1 of 29, named by their place in the whole encoder.

    The names make the keys of a part's state_dict those of the whole: `24.weight` is conv5_1's. The
    weights are not initialised. Made without torchvision, whose import takes longer than many a
    stage.
    """
    part: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(first, last):
        if index in CONV_MODULES:
            place = CONV_MODULES.index(index)
            part[str(index)] = _Convolution(CHANNELS[place], CHANNELS[place + 1])
        elif index in POOL_MODULES:
            part[str(index)] = nn.MaxPool2d(kernel_size=2, stride=2)
        else:
            part[str(index)] = nn.ReLU(inplace=True)
    return nn.Sequential(part)


class _Convolution(nn.Conv2d):
    """Of 3 x 3 pixels; its weights are not initialised, which would take time and randomness."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__(num_in, num_out, kernel_size=3, padding=1)

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


def _first(split: str) -> int:
    return NUM_MODULES if split == POOL else LAYERS[split]


def random_weights(seed: int) -> dict[str, Tensor]:
    """Draw He-initialised convolutions, as torchvision initialises VGG16.

    Normal with deviation sqrt(2 / fan_out), biases zero (He et al., ICCV 2015, equation 10).

    Args:
        seed: Seed of the draws; the same seed gives the same bits.

    Returns:
        The encoder's 26 tensors by their names in a model.
    """
    source = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in tensor_shapes(Vgg16()).items():
        tensor = torch.zeros(shape)
        if name.endswith("weight"):
            fan_out = shape[0] * math.prod(shape[2:])
            tensor.normal_(0, math.sqrt(2 / fan_out), generator=source)
        state[name] = tensor
    return state


def _imagenet_weights() -> dict[str, Tensor]:
    file = Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_URL.rsplit("/", 1)[1]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(IMAGENET_URL, str(file), hash_prefix=IMAGENET_SHA256)
        except (http.client.HTTPException, RuntimeError, OSError) as error:
            raise OSError(
                f"pretrained.weights = imagenet: {IMAGENET_URL} could not be downloaded ({error}). "
                f"On a machine with access download it, and put it here as {file}; or put it into "
                f"models/pretrained/ and set pretrained.weights to {file.name}"
            ) from None
    check_sha256(file, IMAGENET_SHA256, source="torchvision; if it is damaged, remove it")
    found = torch.load(file, map_location="cpu", weights_only=True)
    names = {name: name.replace("features.", PREFIX) for name in found}
    return {new: found[old].float() for old, new in names.items() if new.startswith(PREFIX)}
