"""Resuming an interrupted stage, only if everything its result depends on is unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.device import describe_machine
from vpr.runtime.environment import ENV_FILE
from vpr.runtime.hashing import hash_work
from vpr.runtime.parameters import read_yaml
from vpr.runtime.tensors import write_tensors

T = TypeVar("T")


def fingerprint(*values: object, inputs: Sequence[Path], device: torch.device) -> str:
    """Compute the key of a piece of work, equal only if resuming gives a straight run's bytes.

    It is `hash_work` of the parameters, the inputs (files or folders), the packages' versions and
    what determines the order of sums: device, instruction set and number of threads.

    Returns:
        32 hexadecimal digits.
    """
    facts = describe_machine(read_yaml(ENV_FILE), device)
    return hash_work(*values, torch.get_num_threads(), facts, inputs=inputs)


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
