"""Layers of networks in plain numpy, read from a state_dict that remembers what was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Weights:
    """Tensors of a layer by name, as float64 arrays.

    Args:
        layer: Its own tensors are used, drawn anew so that none is one or zero.
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        """Draw the tensors, and put them into the layer."""
        source = torch.Generator().manual_seed(0)
        state = {
            name: torch.randn(tensor.shape, generator=source) * 0.3
            for name, tensor in layer.state_dict().items()
        }
        layer.load_state_dict(state)
        self.state, self.left = state, set(state)

    def __getitem__(self, name: str) -> Array:
        """Give a tensor, and remember that it was used."""
        self.left.discard(name)
        return self.state[name].double().numpy()


def linear(weights: Weights, name: str, values: Array) -> Array:
    """Apply W x + b to the last axis."""
    out = np.zeros((*values.shape[:-1], len(weights[f"{name}.bias"])))
    for place in np.ndindex(*values.shape[:-1]):
        out[place] = weights[f"{name}.weight"] @ values[place] + weights[f"{name}.bias"]
    return out


def layer_norm(weights: Weights, name: str, values: Array) -> Array:
    """Normalise the last axis by its own mean and deviation, then scale and shift it."""
    mean = values.mean(axis=-1, keepdims=True)
    variance = ((values - mean) ** 2).mean(axis=-1, keepdims=True)
    unit = (values - mean) / np.sqrt(variance + 1e-5)
    return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attention(weights: Weights, name: str, asked: Array, seen: Array, *, heads: int) -> Array:
    """What rows of `asked` (Q, d) find in rows of `seen` (P, d), head after head."""
    packed, bias = weights[f"{name}.in_proj_weight"], weights[f"{name}.in_proj_bias"]
    dim = asked.shape[1]
    parts = [slice(0, dim), slice(dim, 2 * dim), slice(2 * dim, 3 * dim)]
    queries, keys, values = (
        rows @ packed[part].T + bias[part]
        for part, rows in zip(parts, (asked, seen, seen), strict=True)
    )
    width, found = dim // heads, np.zeros_like(asked)
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for row, query in enumerate(queries[:, own]):
            scores = np.exp(keys[:, own] @ query / np.sqrt(width))
            found[row, own] = (scores / scores.sum()) @ values[:, own]
    return linear(weights, f"{name}.out_proj", found)


def images(*shape: int) -> Iterator[tuple[torch.Tensor, Array]]:
    """Two random maps, each as a batch of one and as an array."""
    maps = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    for image in maps:
        yield image[None], image.double().numpy()


def check_unit(found: torch.Tensor, expected: Array) -> None:
    """Compare a descriptor (1, D) with values (D,) that are not normalised."""
    row = expected / np.sqrt((expected**2).sum())
    np.testing.assert_allclose(found[0].detach().numpy(), row, rtol=1e-3, atol=2e-6)
