"""Seconds of several ways to do one thing, taken in turn, and the memory of processes."""

from __future__ import annotations

import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from vpr.runtime.device import find_device, has_fast_bfloat16


def interleaved(runs: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Median seconds of each run; they take turns, so that a slow minute meets all of them.

    Args:
        runs: What to do, by name. Each has been warmed up.
        repeats: How often each is done.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_peak(precision: torch.dtype, sizes: tuple[int, ...], *, repeats: int = 3) -> float:
    """The most floating-point operations a second that square matrix products reach here."""
    best = 0.0
    for size in sizes:
        left, right = (torch.randn(size, size).to(precision) for _ in range(2))
        left @ right
        for _ in range(repeats):
            start = time.perf_counter()
            left @ right
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def watch_memory(process: psutil.Process, seen: dict[str, int]) -> None:
    """Note the anonymous memory of a process and its descendants until it ends.

    Mapped files are not counted (RssAnon of proc(5)): the system takes them back at need.

    Args:
        process: The parent, such as a `dvc repro`.
        seen: Filled with the peak in bytes of each stage, by the name of its module.
    """
    with suppress(psutil.NoSuchProcess):  # it has ended
        while process.status() != psutil.STATUS_ZOMBIE:
            for one in [process, *process.children(recursive=True)]:
                _note_memory(one, seen)
            time.sleep(0.02)


def _note_memory(process: psutil.Process, seen: dict[str, int]) -> None:
    try:
        words = process.cmdline()
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (psutil.Error, OSError):  # a child that has just ended
        return
    found = re.search(r"RssAnon:\s+(\d+)", status)
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if found and module.startswith(("stages.", "bench.")):
        name = module.removeprefix("stages.")
        seen[name] = max(seen.get(name, 0), 1024 * int(found[1]))


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, threads, memory, GPU, versions."""
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
