"""Model files: bare state_dicts with the reference's key names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor


def save_state(path: Path, state: dict[str, Tensor]) -> None:
    """Write named tensors; equal tensors give equal bytes, whatever the file is called.

    Args:
        path: The file to write.
        state: Tensors by name, such as `encoder.0.weight` and `pool.centroids`.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with path.open("wb") as file:  # an open file: torch writes a path's stem into the bytes
        write_tensors(file, plain)


def write_tensors(file: IO[bytes], content: dict[str, Any]) -> None:
    """Save as torch does, but on a full disk with the disk's error in place of torch's own."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    file.write(buffer.getbuffer())


def load_state(path: Path) -> dict[str, Tensor]:
    """Named tensors of a file that `save_state` wrote.

    Raises:
        ValueError: If the file is damaged or holds anything but named, finite tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many kinds on damaged bytes
        raise ValueError(f"{path}: not a readable model file: {error}") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path}: expected tensors by name, found a {type(state).__name__}")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{path}: {name}: expected a tensor, found a {type(tensor).__name__}")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name}: has values that are not finite")
    return state
