"""Files that lie in memory alone: what photos are handed on in, and never a disk."""

from __future__ import annotations

import os
from pathlib import Path


class MemoryFile:
    """A file without a name in any folder (Linux), gone when it is closed or its process ends.

    Args:
        content: What it holds at first.
    """

    def __init__(self, content: bytes = b"") -> None:
        """Make the file."""
        self.number = os.memfd_create("photo")
        try:
            with open(self.number, "wb", closefd=False) as file:
                file.write(content)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """Where this process may open it."""
        return path_of(self.number)

    def close(self) -> None:
        """Give its memory back."""
        os.close(self.number)


def path_of(number: int) -> Path:
    """Where a process may open a file that it holds, by its number."""
    return Path(f"/proc/self/fd/{number}")
