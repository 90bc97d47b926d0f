"""Which metrics are compared between runs, and the acceptance thresholds among the others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpr.evaluation.params import By

# Names in metrics/recall.json, which DVC's tables show; all else is in metrics/details.json.
RECALL = re.compile(r"(sequence_)?recall@(\d+)(?:_(block_bootstrap|wilson_if_independent))?")
ALSO_COMPARED = ("num_queries", "top1_metres_median")
CALIBRATED = "accept_calibrated"
ANSWERABLE = "_answerable"  # ends the name of a recall over the queries that have a positive
NUM_WITHOUT = "num_queries_without_positives"
NUM_NEGATIVES, NUM_NEEDED = "num_negatives", "num_negatives_needed"
LIMITS: dict[By, str] = {"distance": "accept_max_distance", "inliers": "accept_max_log10_nfa"}


def split_metrics(metrics: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split metrics into those that are compared between runs, and details."""
    compared = {
        name: value
        for name, value in metrics.items()
        if RECALL.fullmatch(name) or name in ALSO_COMPARED
    }
    return compared, {name: value for name, value in metrics.items() if name not in compared}


@dataclass(frozen=True)
class RecordedRecall:
    """Recall at one depth, as in metrics/recall.json.

    Args:
        name: `recall@5`, or `sequence_recall@5` for rankings by sequences, another protocol.
        is_of_sequences: Whether queries were ranked with their neighbours on the route.
        value: Fraction of the queries.
        intervals: Lower and upper bound, by method: `block_bootstrap`, `wilson_if_independent`.
    """

    name: str
    n: int
    is_of_sequences: bool
    value: float
    intervals: dict[str, tuple[float, float]]


def list_recalls(metrics: Mapping[str, Any]) -> list[RecordedRecall]:
    """List the recalls of a run by increasing depth, those of single queries first.

    The metrics come from metrics/recall.json, which may have any depths, or none.
    """
    values: dict[tuple[bool, int], float] = {}
    intervals: dict[tuple[bool, int], dict[str, tuple[float, float]]] = {}
    for name, value in metrics.items():
        match = RECALL.fullmatch(name)
        if match is None:
            continue
        key = match[1] is not None, int(match[2])
        if match[3]:
            intervals.setdefault(key, {})[match[3]] = (value[0], value[1])
        else:
            values[key] = value
    return [
        RecordedRecall(
            f"{'sequence_' if of_sequences else ''}recall@{n}", n, of_sequences,
            values[of_sequences, n], intervals.get((of_sequences, n), {}),
        )
        for of_sequences, n in sorted(values)
    ]  # fmt: skip


def save_metrics(compared: Path, details: Path, metrics: Mapping[str, Any]) -> None:
    """Write the metrics that are compared and the details as JSON."""
    for path, part in zip((compared, details), split_metrics(metrics), strict=True):
        path.write_text(json.dumps(part, indent=2, allow_nan=False) + "\n")


@dataclass(frozen=True)
class Threshold:
    """What a first prediction must reach to be accepted.

    Args:
        by: Measure that decides.
        limit: The largest distance, or the largest log10 NFA of its inliers; None: not calibrated.
    """

    by: By
    limit: float | None

    def accepts(self, distance: float, log10_nfa: float | None) -> bool | None:
        """Return whether a first prediction counts as a known place; None: not calibrated.

        Args:
            distance: Distance of the descriptors.
            log10_nfa: Value for its inliers; None if they were not counted.
        """
        if self.limit is None:
            return None
        doubt = distance if self.by == "distance" else log10_nfa
        return doubt is not None and doubt <= self.limit


def find_threshold(details: object) -> Threshold:
    """Find the threshold of a run in the content of its metrics/details.json.

    Raises:
        ValueError: If they are not a run's metrics, or the limit is not a number.
    """
    if not isinstance(details, dict) or not isinstance(details.get(CALIBRATED), bool):
        raise ValueError(f"expected metrics with {CALIBRATED}: true or false")
    limits = {by: details[name] for by, name in LIMITS.items() if name in details}
    if not details[CALIBRATED] and not limits:
        return Threshold("distance", None)  # inliers need no calibration
    if not details[CALIBRATED] or len(limits) != 1:
        raise ValueError(
            f"{CALIBRATED} = {details[CALIBRATED]}, but limits of {list(limits)}: expected one "
            "limit if it is true, and none if it is false"
        )
    ((by, limit),) = limits.items()
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
        raise ValueError(f"{LIMITS[by]} = {limit!r}: expected a number")
    return Threshold(by, float(limit))
