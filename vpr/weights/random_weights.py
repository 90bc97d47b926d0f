"""Random starting weights, for those who have none."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vpr.encoders.vgg16 import encoder_shapes


def random_encoder(seed: int) -> dict[str, Tensor]:
    """He-initialised convolutions, as torchvision initialises VGG16.

    Normal with deviation sqrt(2 / fan_out), biases zero (He et al., ICCV 2015, equation 10).

    Args:
        seed: Of the draws; the same seed gives the same bits.

    Returns:
        The encoder's 26 tensors by name.
    """
    source = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in encoder_shapes().items():
        state[name] = torch.zeros(shape)
        if name.endswith("weight"):
            fan_out = shape[0] * math.prod(shape[2:])
            state[name].normal_(0, math.sqrt(2 / fan_out), generator=source)
    return state
