"""Which metrics are compared between runs, and which are details."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Names in metrics/recall.json, which DVC's tables show; all else is in metrics/details.json.
RECALL = re.compile(r"(sequence_)?recall@(\d+)(?:_(block_bootstrap|wilson_if_independent))?")
ALSO_COMPARED = ("num_queries", "top1_metres_median")
ANSWERABLE = "_answerable"  # ends the name of a recall over the queries that have a positive
NUM_WITHOUT = "num_queries_without_positives"


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
    """Write the metrics that are compared between runs and the details as JSON."""
    parts: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for name, value in metrics.items():
        is_compared = RECALL.fullmatch(name) or name in ALSO_COMPARED
        parts[0 if is_compared else 1][name] = value
    for path, part in zip((compared, details), parts, strict=True):
        path.write_text(json.dumps(part, indent=2, allow_nan=False) + "\n")
