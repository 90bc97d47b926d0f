"""The folder of utility: what each cluster is good for, and which keypoints are kept for it."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BYTES_OF_A_KEYPOINT = 128 + 2 * 4  # its SIFT, and x and y as float32


@dataclass(frozen=True)
class Utility:
    """Utility of clusters.

    Args:
        environment: ES of each cluster, shape (K,).
        low: Clusters of low ES, shape (K,).
        place: PS of each reference and cluster, shape (n, K).
    """

    environment: NDArray[np.float64]
    low: NDArray[np.bool_]
    place: NDArray[np.float64]


def save_utility(folder: Path, kept: NDArray[np.bool_], utility: Utility | None) -> None:
    """Write `kept.npy` and `metrics.json`, and where utility was measured what it was.

    Args:
        folder: The folder to create.
        kept: Whether each keypoint of the database is kept, shape (num_keypoints,).
        utility: Written as `environment.csv` (`cluster,utility,low`) and `place.npy`, if measured.
    """
    folder.mkdir()
    np.save(folder / "kept.npy", kept)
    count = int(np.count_nonzero(kept))
    metrics = {
        "keypoints": len(kept),
        "keypoints_kept": count,
        "keypoint_bytes": BYTES_OF_A_KEYPOINT * len(kept),
        "keypoint_bytes_saved": BYTES_OF_A_KEYPOINT * (len(kept) - count),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    if utility is not None:
        np.save(folder / "place.npy", utility.place)
        with (folder / "environment.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["cluster", "utility", "low"])
            pairs = zip(utility.environment.tolist(), utility.low.tolist(), strict=True)
            table.writerows([cluster, *pair] for cluster, pair in enumerate(pairs))


def load_kept(path: Path, *, num_keypoints: int) -> NDArray[np.bool_]:
    """Which keypoints of the database are kept.

    Raises:
        ValueError: If the file does not hold one truth value for each keypoint.
    """
    kept: NDArray[np.bool_] = np.load(path, allow_pickle=False)
    if kept.dtype != np.bool_ or kept.shape != (num_keypoints,):
        raise ValueError(
            f"{path}: expected ({num_keypoints},) of bool, one for each keypoint, found "
            f"{kept.shape} of {kept.dtype}"
        )
    return kept
