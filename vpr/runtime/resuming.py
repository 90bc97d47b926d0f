"""Resuming an interrupted stage, only if everything its result depends on is unchanged."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.device import describe_machine
from vpr.runtime.environment import ENV_FILE
from vpr.runtime.hashing import hash_file
from vpr.runtime.parameters import read_yaml
from vpr.runtime.tensors import write_tensors

T = TypeVar("T")


def fingerprint(*values: object, inputs: Sequence[Path], device: torch.device) -> str:
    """Compute the key of a piece of work, equal only if resuming gives a straight run's bytes.

    It is a hash of the parameters, the bytes of the inputs (files or folders), the source of every
    module of ours that this process has imported, the packages' versions and what determines the
    order of sums: device, instruction set and number of threads.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for text in (*map(repr, values), *_machine(device)):
        digest.update(text.encode() + b"\0")
    files = [*_sources(), *(file for path in inputs for file in _files(path))]
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        for file, content in zip(
            files, pool.map(partial(hash_file, algorithm="blake2b"), files), strict=True
        ):
            digest.update(f"{file.name}\0{content}".encode())
    return digest.hexdigest()


class HasState(Protocol):
    """An object whose state can be saved and loaded, like a module or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state as tensors, numbers and names."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state that `state_dict` returned."""


def load_saved(state: HasState, file: Path) -> Path:
    """Resume from a file that `save_after_each` wrote, if there is one, and return the file."""
    if file.exists():
        state.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return file


def save_after_each(items: Iterable[T], state: HasState, file: Path) -> Iterator[T]:
    """Pass items on, and after each save the state that drawing it has changed.

    The file is complete at any time, so that a killed run can resume from it.

    Yields:
        The items.
    """
    for item in items:
        with replaced_whole(file) as stream:
            write_tensors(stream, state.state_dict())
        yield item


def _machine(device: torch.device) -> Iterator[str]:
    yield f"{torch.get_num_threads()} threads"
    for name, value in describe_machine(read_yaml(ENV_FILE), device).items():
        yield f"{name} {value}"


def _sources() -> list[Path]:
    ours = [
        getattr(module, "__file__", None)
        for name, module in sys.modules.items()
        if name == "__main__" or name.split(".")[0] in ("vpr", "stages")
    ]
    return sorted({Path(file) for file in ours if file})


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = (file for file in path.rglob("*") if "__pycache__" not in file.parts)
    return sorted(file for file in files if file.is_file())
