"""Whether tensors are those of an encoder with NetVLAD."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vpr.features.encoder import Encoder, count_channels, tensor_shapes

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def expected_shapes(state: Mapping[str, object], *, maker: Encoder) -> dict[str, tuple[int, ...]]:
    """Compute the shapes of a network with this many clusters, in the order we store them.

    Args:
        state: Tensors by the reference's names; they say how many clusters K there are, whether
            the assignment has a bias (vladv2) and how many dimensions whitening keeps.
        maker: The encoder.
    """
    shapes, dim = tensor_shapes(maker), count_channels(maker)
    num_clusters = max(1, _rows(state.get("pool.centroids")))
    if any(name.startswith(("pool.", "WPCA.")) for name in state):
        shapes["pool.conv.weight"] = (num_clusters, dim, 1, 1)
        if "pool.conv.bias" in state:
            shapes["pool.conv.bias"] = (num_clusters,)
        shapes["pool.centroids"] = (num_clusters, dim)
    if any(name.startswith("WPCA.") for name in state):
        full = num_clusters * dim
        kept = min(max(1, _rows(state.get("WPCA.0.weight"))), full)
        shapes["WPCA.0.weight"] = (kept, full, 1, 1)
        shapes["WPCA.0.bias"] = (kept,)
    return shapes


def find_problems(
    state: Mapping[str, object], sources: Mapping[str, str], *, maker: Encoder
) -> list[str]:
    """List all that keeps tensors from being an encoder with NetVLAD.

    Args:
        state: What a file holds, by the reference's names.
        sources: The names in the file, by the reference's.
        maker: The encoder.

    Returns:
        A line for each missing, unknown or unfit tensor; empty if all fit.
    """
    expected = expected_shapes(state, maker=maker)
    missing = [f"{name}: missing" for name in expected if name not in state]
    unknown = [
        f"{sources[name]}: not part of the network" for name in state if name not in expected
    ]
    unfit = [
        f"{sources[name]}: {problem}"
        for name, shape in expected.items()
        if name in state and (problem := _problem(state[name], shape))
    ]
    return missing + unknown + unfit


def _rows(tensor: object) -> int:
    return tensor.shape[0] if isinstance(tensor, Tensor) and tensor.dim() else 0


def _problem(tensor: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"expected a tensor, found {type(tensor).__name__}"
    if tuple(tensor.shape) != shape:
        return f"expected shape {shape}, found {tuple(tensor.shape)}"
    if tensor.dtype not in FLOATS:
        return f"expected floating point values, found {tensor.dtype}"
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return f"expected plain values, found {tensor.layout} on {tensor.device}"
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        return f"expected {tensor.numel()} values, found fewer that are repeated"
    # After the conversion that we store: a float64 can be too large for a float32.
    return None if bool(tensor.float().isfinite().all()) else "has values that are not finite"
