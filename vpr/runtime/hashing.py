"""Hashes of files and of work: they identify it, but do not protect against tampering."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path


def hash_file(path: Path, algorithm: str = "md5") -> str:
    """Hash a file with an algorithm of hashlib; DVC uses `md5`.

    Returns:
        Hexadecimal digits.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest()


def check_sha256(path: Path, expected: str, *, source: str) -> None:
    """Check that a file has the expected SHA-256, which may be cut to its first digits.

    `source` is where the digits are stated, for the message.

    Raises:
        ValueError: If it does not; the message has the digits found.
    """
    found = hash_file(path, "sha256")
    if not found.startswith(expected.lower()):
        raise ValueError(f"{path}: expected SHA-256 {expected} ({source}), found {found}")


def hash_work(*values: object, inputs: Sequence[Path]) -> str:
    """Hash what a result is computed from: values, inputs, and the code that computes it.

    The code is the source of every module of ours that this process has imported, so hash once all
    are. The inputs are files or folders.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for text in map(repr, values):
        digest.update(text.encode() + b"\0")
    files = [*_sources(), *(file for path in inputs for file in _files(path))]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for file, content in zip(
            files, pool.map(partial(hash_file, algorithm="blake2b"), files), strict=True
        ):
            digest.update(f"{file.name}\0{content}".encode())
    return digest.hexdigest()


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
