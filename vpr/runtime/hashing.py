"""Hashes of files; they tell files apart and are no protection against intent."""

from __future__ import annotations

import hashlib
from pathlib import Path


def hash_file(path: Path, algorithm: str = "md5") -> str:
    """Hash the bytes of a file.

    Args:
        path: The file.
        algorithm: As hashlib names it; `md5` is what DVC takes.

    Returns:
        Hexadecimal digits.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest()


def check_sha256(path: Path, expected: str, *, source: str) -> None:
    """Check that a file is the one that is meant.

    Args:
        path: The file.
        expected: Its SHA-256 in hexadecimal digits, or the first of them.
        source: What states it, for the message.

    Raises:
        ValueError: If it is another file; the message has the digits found.
    """
    found = hash_file(path, "sha256")
    if not found.startswith(expected.lower()):
        raise ValueError(f"{path}: expected SHA-256 {expected} ({source}), found {found}")
