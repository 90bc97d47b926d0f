"""The file of the radius within which a database image is a positive."""

from __future__ import annotations

import json
from pathlib import Path


def save_radius(path: Path, radius_m: float) -> None:
    """Write `{"radius_m": 25.0}`, in metres, or frames where coordinates count those."""
    path.write_text(json.dumps({"radius_m": float(radius_m)}) + "\n")


def load_radius(path: Path) -> float:
    """Read what `save_radius` wrote.

    Raises:
        ValueError: If the file holds no positive radius.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from None
    radius_m = content.get("radius_m") if isinstance(content, dict) else None
    if not isinstance(radius_m, float) or not radius_m > 0:
        raise ValueError(f'{path}: expected {{"radius_m": metres above 0}}, found {content!r}')
    return radius_m
