"""Hashes of files: they identify files, but do not protect against tampering."""

from __future__ import annotations

import hashlib
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
