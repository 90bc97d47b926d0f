"""What one form of data sets brings: how it is found in a folder, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vpr.datasets.ground_truth import GroundTruth


@dataclass(frozen=True)
class Form:
    """One form of data sets.

    Args:
        words: What a folder in this form holds, for messages.
        find: Folder -> the paths in it that `parse` may read.
        parse: One of those paths -> both sides.
        is_one_file: Whether the path holds everything, and so is what messages name.
        gives_way: Whether it counts only in a folder that has no other form.
    """

    words: str
    find: Callable[[Path], list[Path]]
    parse: Callable[[Path], GroundTruth]
    is_one_file: bool = True
    gives_way: bool = False


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Find files of a folder by a pattern, sorted, without the hidden ones that systems add.

    Args:
        folder: The data set's folder.
        pattern: As `*.mat`.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
