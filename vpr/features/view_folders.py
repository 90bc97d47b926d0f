"""The folder of views: features of the same images at each of some scales."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

SCALES = "scales.json"  # a list; each scale has a folder of features


def save_scales(folder: Path, scales: Sequence[float]) -> None:
    """Name the scales of a folder, once each is in its `view_folder`; it may be none."""
    folder.mkdir(exist_ok=True)
    (folder / SCALES).write_text(json.dumps(scales) + "\n")


def view_folder(folder: Path, scale: float) -> Path:
    """Give the folder of the features of one scale."""
    return folder / str(scale)


def load_scales(folder: Path) -> list[float]:
    """Read what `save_scales` wrote.

    Raises:
        ValueError: If the file is no list of numbers.
    """
    file = folder / SCALES
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file}: expected a list of scales: {error}") from None
    if not isinstance(content, list) or not all(isinstance(scale, float) for scale in content):
        raise ValueError(f"{file}: expected a list of scales, found {content!r}")
    return content
