"""A whitening in a checkpoint, next to the network's tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vpr.retrieval.whitening import Whitening

NAMES = ("WPCA.0.weight", "WPCA.0.bias")  # of the reference, which has it as a 1x1 convolution


def find_whitening(state: Mapping[str, Tensor], *, dim: int) -> Whitening | None:
    """Find the whitening among tensors, cut to its first `dim` directions, which vary most.

    Returns:
        The map, or None if there is none.

    Raises:
        ValueError: If the whitening has fewer directions.
    """
    if NAMES[0] not in state:
        return None
    weight, bias = (state[name].flatten(1 if name == NAMES[0] else 0).numpy() for name in NAMES)
    if dim > len(weight):
        raise ValueError(
            f"whiten.dim = {dim}: the weights bring a whitening to {len(weight)} dimensions: set "
            "it to that or less"
        )
    return Whitening(weight[:dim], bias[:dim])


def whitening_state(whitening: Whitening | None) -> dict[str, Tensor]:
    """Name a whitening as the reference does, as a 1x1 convolution; empty if there is none."""
    if whitening is None:
        return {}
    weight = torch.from_numpy(whitening.weight)[:, :, None, None]
    return dict(zip(NAMES, (weight, torch.from_numpy(whitening.bias)), strict=True))
