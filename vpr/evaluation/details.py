"""Which metrics are compared from run to run, and the thresholds among the others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of metrics/recall.json, which DVC's tables show; all else is in metrics/details.json.
COMPARED = re.compile(
    r"(sequence_)?recall@\d+(_wilson_if_independent|_block_bootstrap)?|num_queries"
    r"|top1_metres_median"
)
THRESHOLD = "accept_threshold_fitted_on_these_queries"
MIN_INLIERS = "accept_min_inliers_fitted_on_these_queries"


def split_metrics(metrics: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split metrics into those that people compare, and details."""
    compared = {name: value for name, value in metrics.items() if COMPARED.fullmatch(name)}
    return compared, {name: value for name, value in metrics.items() if name not in compared}


def save_metrics(compared: Path, details: Path, metrics: Mapping[str, Any]) -> None:
    """Write the metrics that people compare and the details as JSON.

    Args:
        compared: The one file to write.
        details: The other.
        metrics: All metrics of a run.
    """
    for path, part in zip((compared, details), split_metrics(metrics), strict=True):
        path.write_text(json.dumps(part, indent=2, allow_nan=False) + "\n")


@dataclass(frozen=True)
class Threshold:
    """What a first prediction must reach to be accepted.

    Args:
        distance: The largest; infinite if any is accepted, -1 if none is.
        min_inliers: The fewest, where inliers decide and not the distance; None where not.
    """

    distance: float
    min_inliers: int | None

    def accepts(self, distance: float, inliers: int) -> bool:
        """Return whether a first prediction counts as a known place."""
        if self.min_inliers is None:
            return distance <= self.distance
        return 0 <= self.min_inliers <= inliers


def find_threshold(details: object) -> Threshold:
    """Find what the recorded run accepts.

    Args:
        details: What metrics/details.json holds.

    Raises:
        ValueError: If they are no metrics, or the threshold is no number.
    """
    known = details if isinstance(details, dict) else {THRESHOLD: None}
    distance, fewest = known.get(THRESHOLD, math.inf), known.get(MIN_INLIERS)
    if not isinstance(distance, int | float) or math.isnan(distance):
        raise ValueError(f"{THRESHOLD} = {distance!r}: expected a distance")
    if fewest is not None and not isinstance(fewest, int):
        raise ValueError(f"{MIN_INLIERS} = {fewest!r}: expected a number of inliers")
    return Threshold(float(distance), fewest)
