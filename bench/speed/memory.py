"""Peak memory of each stage at 1, 2 and 4 times the set: which grows, and which does not."""

from __future__ import annotations

from typing import Any

from bench.shared.trials import CHALLENGE, set_parameters, temporary_clone
from bench.speed.whole_job import SPACING_M, repro

FACTORS = (1, 2, 4)


def measure(*, num_database: int, num_query: int) -> dict[str, Any]:
    """Run the pipeline for one epoch on sets of three sizes, with small photos.

    Returns:
        Peak anonymous memory in MB of each stage's process, in the order of the factors, and the
        last over the first; None where a stage did not run, since none of its inputs had changed.
    """
    peaks: list[dict[str, float]] = []
    with temporary_clone(cold=True) as clone:
        for factor in FACTORS:
            settings = CHALLENGE | {
                "sample.num_database": factor * num_database,
                "sample.num_query": factor * num_query,
                "sample.width_px": 96, "sample.height_px": 64,
                "sample.spacing_m": SPACING_M, "finetune.epochs": 1,
            }  # fmt: skip
            set_parameters(clone, settings)
            peaks.append({stage: peak / 1e6 for stage, peak in repro(clone)[1].items()})
    stages = list(peaks[0])  # the first run is cold, so all of them ran
    return {
        "photos": [num_database, num_query],
        "factors": list(FACTORS),
        "peak_memory_mb": {stage: [found.get(stage) for found in peaks] for stage in stages},
        "growth": {
            stage: peaks[-1][stage] / peaks[0][stage] if stage in peaks[-1] else None
            for stage in stages
        },
    }
