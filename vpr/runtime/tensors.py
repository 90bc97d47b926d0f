"""Files of named tensors, written by torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor


def plain_tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, so that they share no memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def save_content(path: Path, content: dict[str, Any]) -> None:
    """Write a file by torch; equal content gives equal bytes under any file name."""
    with path.open("wb") as file:  # an open file: torch writes a path's stem into the bytes
        write_tensors(file, content)


def write_tensors(file: IO[bytes], content: dict[str, Any]) -> None:
    """Save like torch, but on a full disk raise the disk's error instead of torch's own."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    file.write(buffer.getbuffer())


def load_content(path: Path) -> dict[str, Any]:
    """Read what `save_content` wrote; no code in the file is run.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many kinds on damaged bytes
        raise ValueError(f"{path}: not a readable model file: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected tensors by name, found a {type(content).__name__}")
    return content


def check_tensors(state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """Check that all values are finite tensors.

    Raises:
        ValueError: If a value is not; the message names it and the file `path`.
    """
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{path}: {name}: expected a tensor, found a {type(tensor).__name__}")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name}: has values that are not finite")
    return state
