"""Reads a map that `python -m vpr export-map` wrote; it needs NumPy and nothing else."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class StreetMap:
    """Descriptors and places of a map.

    Raises:
        ValueError: If a file is missing, damaged, or of another map.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the folder, and check every file that answers depend on."""
        home = Path(folder)
        self.meta: dict[str, Any] = _parse(home / "map.json", "vpr-map")
        for name, expected in self.meta["files"].items():
            if _digest(home / name) != expected:
                raise ValueError(
                    f"{home / name}: missing, damaged, or of another map than map.json"
                )
        rows = np.load(home / "descriptors.npy").astype(np.float32)
        self.rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        with (home / "places.csv").open(encoding="utf-8", newline="") as file:
            self.places = list(csv.DictReader(file))
        count, dim = self.meta["count"], self.meta["dim"]
        if rows.shape != (count, dim) or len(self.places) != count:
            raise ValueError(
                f"{home / 'map.json'}: count or dim is not that of descriptors.npy and places.csv"
            )

    def check_model(self, card: str | Path) -> None:
        """Refuse a network of another run, or a damaged one, by the .json beside its file."""
        found = _parse(Path(card), "vpr-model")
        if found["run"] != self.meta["run"]:
            raise ValueError(f"{card}: of run {found['run']}, the map is of {self.meta['run']}")
        if _digest(Path(card).parent / found["file"]) != found["sha256"]:
            raise ValueError(f"{found['file']}: missing, damaged, or of another export than {card}")

    def rank(self, descriptor: NDArray[np.float32], top: int) -> list[tuple[int, float]]:
        """Rank places for a unit descriptor (dim,): index and Euclidean distance, best first."""
        distances = np.sqrt(np.maximum(0, 2 - 2 * (self.rows @ descriptor)))
        best = np.argsort(distances, kind="stable")[:top].tolist()
        return [(index, float(distances[index])) for index in best]


def _parse(path: Path, form: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (found["format"], found["version"]) == (form, 1):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path}: missing, damaged, or not a {form} of version 1")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
