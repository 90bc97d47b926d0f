"""Checkpoint files: bytes -> what was stored under which name, and back. Nothing in them is run."""

from __future__ import annotations

import json
import re
import zipfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from numpy._core import multiarray
from safetensors import safe_open
from torch import Tensor

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.tensors import plain_tensors, write_tensors

Form = Literal["nanne", "bare", "safetensors"]

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # pickled magic number of torch < 1.6
NOTES_KEY = "checkpoint"  # of the metadata in safetensors, whose values are text


class StoredArray(list[float]):
    """Stands in for `numpy.ndarray` in a pickle: an array's numbers in a flat list.

    numpy's own must not be named there: it makes an array of objects from any bytes.
    """

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the numbers from numpy's state (version, shape, type, Fortran order, data)."""
        _, _, kind, _, data = state
        if kind.kind not in "biuf":
            raise ValueError(f"expected an array of numbers, found numpy type {kind.str!r}")
        self.extend(np.frombuffer(data, kind.str).tolist())


def _empty_array(*_: object) -> StoredArray:
    """Stand in for numpy's `_reconstruct`."""
    return StoredArray()


def _number(*stored: Any) -> float:  # noqa: ANN401 - numpy's type and bytes
    """Replace numpy's `scalar`."""
    number: float = multiarray.scalar(*stored).item()
    return number


# Recalls and scores beside the tensors are numpy's numbers: what makes those of fixed width is
# safe. numpy 2 moved `core` to `_core`. timm's training stores its arguments in a Namespace.
SAFE: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    Namespace, np.dtype, *(type(np.dtype(code)) for code in "?bhilBHILefd"),
    (StoredArray, "numpy.ndarray"),
]  # fmt: skip
for _core in ("core", "_core"):
    SAFE += [
        (_number, f"numpy.{_core}.multiarray.scalar"),
        (_empty_array, f"numpy.{_core}.multiarray._reconstruct"),
    ]


def read_checkpoint(path: Path) -> tuple[str, Mapping[object, Any]]:
    """Read what a checkpoint file holds, under the names it has there.

    A pickle may name tensors and numbers and nothing else (torch's `weights_only`). A zip must have
    whole, uncompressed members, as torch writes them: no compression, no bomb.

    Args:
        path: A file of torch.save in either of its containers, or safetensors.

    Returns:
        The container in words, and its content; of safetensors the tensors are `state_dict`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of another kind, or names anything else in a pickle.
    """
    with path.open("rb") as file:
        head = file.read(len(LEGACY))
    try:
        if head.startswith(ZIP):
            _check_zip(path)
            return "zip", _as_mapping(_unpickle(path))
        if head == LEGACY:
            return "legacy pickle", _as_mapping(_unpickle(path))
        if head[8:9] == b"{":
            return "safetensors", _read_safetensors(path)
        raise ValueError(
            "expected a checkpoint (torch.save's zip or legacy pickle, or safetensors), found "
            f"a file that starts with {head!r}"
        )
    except Exception as error:  # damaged bytes raise whatever the parsers stumble upon
        raise ValueError(f"{path}: refused, nothing in it was run: {_reason(error)}") from None


def save_checkpoint(
    path: Path, state: dict[str, Tensor], notes: Mapping[str, Any], *, form: Form
) -> None:
    """Write a checkpoint for other programs; equal content gives equal bytes.

    Args:
        path: The file to write.
        state: Tensors by the reference's names.
        notes: `epoch`, `recalls`, `best_score`, as far as known.
        form: `nanne`: as Nanne/pytorch-NetVlad and the challenge store it, without an optimizer;
            `bare`: the state_dict alone, which cannot hold notes; `safetensors`.
    """
    plain = plain_tensors(state)
    with replaced_whole(path) as file:
        if form == "bare":
            write_tensors(file, plain)
        elif form == "nanne":
            write_tensors(file, {**notes, "state_dict": plain, "parallel": False})
        else:
            metadata = {"format": "pt", NOTES_KEY: json.dumps(notes)} if notes else {"format": "pt"}
            file.write(_stable_safetensors(plain, metadata))


def _stable_safetensors(state: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Write safetensors with a sorted header: the library orders metadata by chance."""
    data = safetensors.torch.save(state, metadata)
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # tensors are to begin at a multiple of 8
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        compressed = [member.filename for member in members if member.compress_type]
        if compressed:
            raise ValueError(f"expected stored members, as torch writes, {compressed[0]} is packed")
        declared, found = sum(member.file_size for member in members), path.stat().st_size
        if declared > found:
            raise ValueError(f"its members declare {declared} bytes, the file has {found}")
        damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} does not match its checksum: fetch the file again")


def _unpickle(path: Path) -> object:
    with torch.serialization.safe_globals(SAFE):
        return torch.load(path, map_location="cpu", weights_only=True)


def _as_mapping(content: object) -> Mapping[object, Any]:
    if not isinstance(content, Mapping):
        raise ValueError(f"expected tensors by name, found {type(content).__name__}")
    return content


def _read_safetensors(path: Path) -> Mapping[object, Any]:
    with safe_open(path, framework="pt") as file:
        notes = json.loads((file.metadata() or {}).get(NOTES_KEY, "{}"))
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    return {**_as_mapping(notes), "state_dict": state}


def _reason(error: Exception) -> str:
    """Find the culprit: torch surrounds it with advice to load unsafely."""
    text = str(error)
    named = re.search(r"GLOBAL (\S+)|but got <class '(\S+)'>", text)
    if named:
        culprit = (named[1] or named[2]).rstrip(".")
        return f"its pickle names {culprit}, which is neither a tensor nor a number"
    unsupported = re.search(r"Unsupported[^\n]*", text)
    line = unsupported[0] if unsupported else (text.split("\n") or [""])[0][:300]
    return line or f"damaged ({type(error).__name__})"
