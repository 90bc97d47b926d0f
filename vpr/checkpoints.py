"""Checkpoints of other people: the challenge's own form and bare state_dicts."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpr.encoder import encoder_shapes

# What numpy scalars beside the tensors (recalls, best_score) are pickled with: the first line is
# how numpy < 2 names it, the second how numpy >= 2 does. Nothing else is let in.
ALLOWED = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np.dtype,
    np.dtypes.Float64DType,
]


def parse_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a VGG16-NetVLAD checkpoint, under the reference's names.

    Taken are the challenge's form (a dictionary with `state_dict`), a bare state_dict of encoder
    and pool, one of the encoder alone, and torchvision's VGG16 (`features.N.*`, whose classifier
    is dropped).

    Args:
        path: The file, as torch.save wrote it. No code in it is run.

    Returns:
        `encoder.N.weight`, `encoder.N.bias` and, if the file has a pool, `pool.conv.weight` (K, C,
        1, 1) and `pool.centroids` (K, C); float32.

    Raises:
        ValueError: If the file is damaged, would run code, or lacks tensors, has unknown ones, or
            ones of another shape or with values that are not finite; one message lists them all.
    """
    content = _load_safely(path)
    inner = content.get("state_dict", content)
    if not isinstance(inner, Mapping):
        raise ValueError(f"{path}: state_dict: expected tensors by name, found {type(inner)}")
    state = {_reference_name(str(name)): value for name, value in inner.items()}
    if not any(name.startswith("pool.") for name in state):
        # torchvision's VGG16 ends behind conv5_3; only its classifier is more than the encoder.
        state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    problems = _problems(state)
    if problems:
        raise ValueError(f"{path}: not a VGG16-NetVLAD checkpoint:\n  " + "\n  ".join(problems))
    return {name: tensor.float() for name, tensor in state.items()}


def describe_state(state: Mapping[str, Tensor]) -> str:
    """What a set of starting weights holds, in words."""
    if "pool.centroids" not in state:
        return "VGG16 without a pool: NetVLAD's clusters will come from the database"
    num_clusters, dim = state["pool.centroids"].shape
    return f"VGG16 with NetVLAD of {num_clusters} clusters x {dim} dimensions (vladv1)"


def _load_safely(path: Path) -> Mapping[str, Any]:
    try:
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        # Only the line that names the culprit: the rest of torch's text advises unsafe loading.
        named = [line for line in str(error).split("\n") if "nsupported" in line]
        reason = named[0].split(" please use")[0] if named else "it is not a file of tensors"
        raise ValueError(f"{path}: refused, nothing in it was run: {reason}") from None
    except Exception as error:  # torch raises many kinds on damaged bytes
        raise ValueError(f"{path}: not a readable checkpoint (damaged?): {error}") from None
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected tensors by name, found {type(content).__name__}")
    return content


def _reference_name(name: str) -> str:
    return name.replace("features.", "encoder.", 1) if name.startswith("features.") else name


def _problems(state: Mapping[str, Any]) -> list[str]:
    expected: dict[str, tuple[int, ...]] = encoder_shapes()
    centroids = state.get("pool.centroids")
    if any(name.startswith("pool.") for name in state):
        num_clusters = len(centroids) if isinstance(centroids, Tensor) else 0
        dim = expected["encoder.28.bias"][0]
        expected["pool.conv.weight"] = (num_clusters, dim, 1, 1)
        expected["pool.centroids"] = (num_clusters, dim)
    missing = [f"{name}: missing" for name in expected if name not in state]
    unknown = [f"{name}: not part of the network" for name in state if name not in expected]
    return (
        missing
        + unknown
        + [
            f"{name}: {problem}"
            for name in expected
            if name in state and (problem := _problem(state[name], expected[name]))
        ]
    )


def _problem(tensor: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"expected a tensor, found {type(tensor).__name__}"
    if tuple(tensor.shape) != shape:
        return f"expected shape {shape}, found {tuple(tensor.shape)}"
    if not tensor.is_floating_point():
        return f"expected floating point values, found {tensor.dtype}"
    return None if bool(torch.isfinite(tensor).all()) else "has values that are not finite"
