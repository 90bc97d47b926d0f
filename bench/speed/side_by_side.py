"""All measurements of speed and memory on this CPU, side by side in one run.

`python -m bench.speed.side_by_side` (or `make bench`) writes bench/results/cpu.json and cpu.svg and
prints a table; `--quick` (or `make bench-quick`) takes two minutes, writes nothing, and fails on a
large regression. Only ratios within the run are judged, never seconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.shared.measuring import machine
from bench.speed import extraction, search, training, whole_job
from bench.speed.figures import as_table, draw_chart

RESULTS = Path(__file__).resolve().parents[1] / "results"
# Minimum of a quick run: far below the measured values, so that only a large regression fails.
LEAST = {
    ("extraction", "float32_over_plain"): 1.05,
    ("extraction", "bfloat16_over_plain"): 1.6,
    ("extraction", "share_of_peak", "float32"): 0.6,
    ("training", "plain_over_float32"): 3.0,
    ("training", "plain_over_bfloat16"): 5.0,
    ("search", "10000", "ours_over_best"): 0.2,
}
NEEDS_BFLOAT16 = "bfloat16_over_plain", "plain_over_bfloat16"


def measure_all() -> dict[str, Any]:
    """Every measurement, in about twelve minutes on two idle cores."""
    return {
        "machine": machine(),
        "extraction": extraction.measure(
            num_photos=8, repeats=3, peak_sizes=(1024, 2048, 4096, 8192)
        ),
        "training": training.measure(num_photos=16, num_plain=4, repeats=2),
        "search": search.measure(sizes=(10_000, 100_000), repeats=2),
        "memory": whole_job.measure_memory(num_database=50, num_query=30),
        "whole job": whole_job.measure(num_database=24, num_query=21),
    }


def measure_quickly() -> dict[str, Any]:
    """The measurements whose ratios show a regression soonest."""
    return {
        "machine": machine(),
        "extraction": extraction.measure(num_photos=3, repeats=2, peak_sizes=(1024, 2048)),
        "training": training.measure(num_photos=12, num_plain=2, repeats=1),
        "search": search.measure(sizes=(10_000,), repeats=2),
    }


def find_regressions(found: dict[str, Any]) -> list[str]:
    """List the ratios that are below what any healthy run reaches, one line each."""
    lines = []
    for keys, least in LEAST.items():
        if keys[-1] in NEEDS_BFLOAT16 and not found["machine"]["fast_bfloat16"]:
            continue
        value: Any = found
        for key in keys:
            value = value[key]
        if value < least:
            lines.append(f"{' '.join(keys)} = {value:.2f}, expected {least} or more")
    return lines


def main() -> None:
    """Measure, print the table, and keep or judge the figures."""
    quick = sys.argv[1:] == ["--quick"]
    found = measure_quickly() if quick else measure_all()
    print(as_table(found))
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "cpu.json").write_text(json.dumps(found, indent=2) + "\n")
        draw_chart(found, RESULTS / "cpu.svg")
    if regressions := find_regressions(found):
        sys.exit("\n".join(["slower than it should be:", *regressions]))


if __name__ == "__main__":
    main()
