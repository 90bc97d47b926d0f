"""Peak memory of each stage at 1, 2 and 4 times the set: what grows, and what does not."""

from __future__ import annotations

from typing import Any

from bench.trials import set_parameters, temporary_clone
from bench.whole_job import SPACING_M, repro

FACTORS = (1, 2, 4)


def measure(*, num_database: int, num_query: int) -> dict[str, Any]:
    """Run the pipeline on sets of three sizes, of small photos and for one epoch.

    Returns:
        Peak anonymous memory in MB of each stage's process, in the order of the factors, and the
        last over the first.
    """
    peaks: dict[str, list[float]] = {}
    with temporary_clone(cold=True) as clone:
        for factor in FACTORS:
            settings = {
                "sample.num_database": factor * num_database,
                "sample.num_query": factor * num_query,
                "sample.width_px": 96, "sample.height_px": 64,
                "sample.spacing_m": SPACING_M, "finetune.epochs": 1,
            }  # fmt: skip
            set_parameters(clone, settings)
            for stage, peak in repro(clone)[1].items():
                peaks.setdefault(stage, []).append(peak / 1e6)
    return {
        "photos": [num_database, num_query],
        "factors": list(FACTORS),
        "peak_memory_mb": peaks,
        "growth": {stage: values[-1] / values[0] for stage, values in peaks.items()},
    }
