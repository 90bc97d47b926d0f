"""The encoder, image -> local features: which there are, and VGG16's convolutions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

Encoder = Literal["vgg16", "dense_rootsift"]
SIFT = "sift."  # names of dense RootSIFT's tensors start so; it has scales, and no weights

NUM_MODULES = 29  # features[:-2]: conv5_3 is the last, before its ReLU and pooling
CONV_MODULES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
POOL_MODULES = (4, 9, 16, 23)  # each halves height and width, rounding down
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)  # around them

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB in [0, 1]
STD = (0.229, 0.224, 0.225)


def build_encoder(first: int, last: int) -> nn.Sequential:
    """The encoder's modules first..last-1, named by their place in the whole encoder.

    VGG16 up to conv5_3 without the last ReLU (Simonyan & Zisserman, ICLR 2015; Arandjelović et
    al., CVPR 2016, section 5.1). The names make the keys of a part's state_dict those of the
    whole: `24.weight` is conv5_1's.

    Args:
        first: Index of the first module.
        last: Index behind the last module, at most 29.

    Returns:
        The modules in order; the weights are not initialised.
    """
    part = nn.Sequential(_layers(first, last))
    for module in part:  # not by to_empty, which imports sympy: half a second
        for name, tensor in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(tensor.shape)))
    return part


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of each of the encoder's 26 tensors, by its key in a checkpoint."""
    layers = nn.Sequential(_layers(0, NUM_MODULES))
    return {f"encoder.{name}": tuple(tensor.shape) for name, tensor in layers.state_dict().items()}


def _layers(first: int, last: int) -> OrderedDict[str, nn.Module]:
    """On the meta device. Not by torchvision, whose import takes longer than many a stage."""
    part: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(first, last):
        if index in CONV_MODULES:
            place = CONV_MODULES.index(index)
            part[str(index)] = nn.Conv2d(
                CHANNELS[place], CHANNELS[place + 1], kernel_size=3, padding=1, device="meta"
            )
        elif index in POOL_MODULES:
            part[str(index)] = nn.MaxPool2d(kernel_size=2, stride=2)
        else:
            part[str(index)] = nn.ReLU(inplace=True)
    return part


def is_dense_sift(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of a model on dense RootSIFT, not on VGG16."""
    return any(name.startswith(SIFT) for name in names)


def count_scales(state: dict[str, Tensor]) -> int:
    """Maps of one image that stand one below the other in its stored features."""
    return len(state[f"{SIFT}bins_px"]) if is_dense_sift(state) else 1


def check_split(trainable_from: int) -> None:
    """Check where the encoder is cut into a frozen and a trainable part.

    Args:
        trainable_from: Index of the first module that trains; 29 if only the pool does.

    Raises:
        ValueError: If the index is none of a convolution's but the first, nor 29.
    """
    allowed = (*CONV_MODULES[1:], NUM_MODULES)
    if trainable_from not in allowed:
        raise ValueError(
            f"trunk.trainable_from = {trainable_from}: expected the index of a convolution "
            f"(or 29: only NetVLAD trains), one of {', '.join(map(str, allowed))}"
        )


def split_state(
    state: dict[str, Tensor], trainable_from: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Frozen tensors of the encoder, and all others, in the same order.

    Args:
        state: Tensors by name.
        trainable_from: Index of the encoder's first module that trains; of dense RootSIFT, none.
    """
    frozen = {
        name: tensor
        for name, tensor in state.items()
        if name.startswith(SIFT)
        or (name.startswith("encoder.") and int(name.split(".")[1]) < trainable_from)
    }
    return frozen, {name: tensor for name, tensor in state.items() if name not in frozen}


def normalise_pixels(images: Tensor) -> Tensor:
    """Pixels as the encoder expects them: scaled to [0, 1], then ImageNet's mean and deviation.

    Args:
        images: RGB of shape (N, H, W, 3), uint8.

    Returns:
        Shape (N, 3, H, W), float32, in channels_last memory.
    """
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    return images.float().div(255).sub(mean).div(std).permute(0, 3, 1, 2)  # (N, 3, H, W)


def map_shape(trainable_from: int, height_px: int, width_px: int) -> tuple[int, int, int]:
    """Shape (C, H, W) of what the modules before `trainable_from` make of one image."""
    channels = encoder_shapes()[
        f"encoder.{max(c for c in CONV_MODULES if c < trainable_from)}.bias"
    ]
    halvings = sum(pool < trainable_from for pool in POOL_MODULES)
    return channels[0], height_px >> halvings, width_px >> halvings
