"""The folder of utility: the utility of each cluster, and the keypoints that are kept for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.runtime.npz import load_array, load_arrays, save_arrays


@dataclass(frozen=True)
class Utility:
    """Utility of clusters.

    Args:
        environment: ES of each cluster, shape (K,).
        low: Clusters of low ES, shape (K,).
        place: PS of each reference and cluster, shape (n, K).
        clusters: Which clusters a reference keeps, shape (n, K).
        maps: The cluster that wins each position, (num_scales, H', W') for each reference.
    """

    environment: NDArray[np.float64]
    low: NDArray[np.bool_]
    place: NDArray[np.float64]
    clusters: NDArray[np.bool_]
    maps: Sequence[NDArray[np.int64]]


def save_utility(
    folder: Path, kept: NDArray[np.bool_], utility: Utility | None, *, bytes_each: int
) -> None:
    """Write `kept.npy`, `metrics.json` and, where it was measured, the utility.

    Without keypoints, that is without re-ranking, `metrics.json` is empty.

    Args:
        folder: The folder to create.
        kept: Whether each keypoint of the database is kept, shape (num_keypoints,).
        utility: Written as `environment.csv` (`cluster,utility,low`), `place.npy`, `clusters.npy`
            and `maps.npz`, if measured.
        bytes_each: Bytes that a keypoint takes.
    """
    folder.mkdir()
    np.save(folder / "kept.npy", kept)
    count = int(np.count_nonzero(kept))
    metrics = {  # of re-ranking: without it there is nothing to report
        "keypoints": len(kept),
        "keypoints_kept": count,
        "keypoint_bytes": bytes_each * len(kept),
        "keypoint_bytes_saved": bytes_each * (len(kept) - count),
    }
    reported = metrics if len(kept) else {}
    (folder / "metrics.json").write_text(json.dumps(reported, indent=2) + "\n")
    if utility is not None:
        np.save(folder / "place.npy", utility.place)
        np.save(folder / "clusters.npy", utility.clusters)
        won = {
            str(image): clusters.astype(np.uint16) for image, clusters in enumerate(utility.maps)
        }
        save_arrays(folder / "maps.npz", won)
        pairs = zip(utility.environment.tolist(), utility.low.tolist(), strict=True)
        rows = [f"{cluster},{value},{low}" for cluster, (value, low) in enumerate(pairs)]
        (folder / "environment.csv").write_text("\n".join(["cluster,utility,low", *rows]) + "\n")


def load_kept(path: Path, *, num_keypoints: int) -> NDArray[np.bool_]:
    """Load which keypoints of the database are kept.

    Raises:
        ValueError: If the file does not hold one truth value for each keypoint.
    """
    kept: NDArray[np.bool_] = load_array(path, what="a file of kept keypoints")
    if kept.dtype != np.bool_ or kept.shape != (num_keypoints,):
        raise ValueError(
            f"{path}: expected ({num_keypoints},) of bool, one for each keypoint, found "
            f"{kept.shape} of {kept.dtype}"
        )
    return kept


def is_measured(folder: Path) -> bool:
    """Return whether utility was measured, instead of only keeping every keypoint."""
    return (folder / "maps.npz").exists()


def load_utility_maps(folder: Path, images: Sequence[int]) -> list[NDArray[np.float32]]:
    """Place-specific utility at each position of references, beyond the 1 that every cluster has.

    Returns:
        Shape (num_scales, H', W') for each; 0 where the cluster is not kept.

    Raises:
        ValueError: If a file is damaged.
    """
    place = load_array(folder / "place.npy", what="utility of each place")
    kept = load_array(folder / "clusters.npy", what="clusters that are kept")
    names = [str(image) for image in images]
    maps = load_arrays(folder / "maps.npz", names, what="maps of clusters")
    beyond = np.where(kept, place - 1, 0).astype(np.float32)  # (n, K)
    return [beyond[image][won] for image, won in zip(images, maps, strict=True)]
