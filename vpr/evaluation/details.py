"""Which metrics are compared from run to run, and the thresholds among the others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Of metrics/recall.json, which DVC's tables show; all else is in metrics/details.json.
COMPARED = re.compile(
    r"(sequence_)?recall@\d+(_wilson_if_independent|_block_bootstrap)?|num_queries"
    r"|top1_metres_median"
)
THRESHOLD = "accept_threshold_fitted_on_these_queries"
RETRIEVAL_THRESHOLD = "accept_threshold_of_retrieval_fitted_on_these_queries"


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


def find_threshold(details: object) -> float:
    """Find the largest distance at which a retrieved image is accepted; infinite if any is.

    A photo is not re-ranked: where queries were, the threshold fitted on their retrieval counts.

    Args:
        details: What metrics/details.json holds.

    Raises:
        ValueError: If they are no metrics, or the threshold is no number.
    """
    known = details if isinstance(details, dict) else {THRESHOLD: None}
    threshold = known.get(RETRIEVAL_THRESHOLD, known.get(THRESHOLD, math.inf))
    if not isinstance(threshold, int | float) or math.isnan(threshold):
        raise ValueError(f"{THRESHOLD} = {threshold!r}: expected a distance")
    return float(threshold)
