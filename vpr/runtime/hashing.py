"""Hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def check_sha256(path: Path, expected: str, *, source: str) -> None:
    """Check that a file is the one that is meant.

    Args:
        path: The file.
        expected: Its SHA-256 in hexadecimal digits, or the first of them.
        source: What states it, for the message.

    Raises:
        ValueError: If it is another file; the message has the digits found.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected.lower()):
        raise ValueError(f"{path}: expected SHA-256 {expected} ({source}), found {found}")
