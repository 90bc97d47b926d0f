"""Seconds of several ways to do the same thing, taken in turn, and the machine."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import torch

from vpr.runtime.device import find_device, has_fast_bfloat16


def interleaved(runs: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Median seconds of each run; they take turns, so that a slow minute affects all of them.

    Every run has been warmed up.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_peak(precision: torch.dtype, sizes: tuple[int, ...], *, repeats: int = 3) -> float:
    """Peak floating-point operations per second of square matrix products on this machine."""
    best = 0.0
    for size in sizes:
        left, right = (torch.randn(size, size).to(precision) for _ in range(2))
        left @ right
        for _ in range(repeats):
            start = time.perf_counter()
            left @ right
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def machine() -> dict[str, Any]:
    """What figures depend on: processor, threads, memory, GPU, versions."""
    has_gpu = find_device().type == "cuda"
    return {
        "processor": str(torch.cpu.get_capabilities().get("cpu_name", platform.processor())),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "fast_bfloat16": has_fast_bfloat16(),
        "gpu": torch.cuda.get_device_name() if has_gpu else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
