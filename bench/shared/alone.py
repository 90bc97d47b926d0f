"""Measurements in a process of their own, and the memory of processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def measure_alone(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module, as `python -m` does, that prints its figures as JSON.

    Returns:
        The figures, and `peak_mb`, the peak of the process's anonymous memory.
    """
    command = [sys.executable, "-m", module, *arguments]
    peaks: dict[str, int] = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        watch = threading.Thread(target=watch_memory, args=(psutil.Process(process.pid), peaks))
        watch.start()
        printed, _ = process.communicate()
        watch.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    figures: dict[str, Any] = json.loads(printed)
    return figures | {"peak_mb": max(peaks.values()) / 1e6}


def watch_memory(process: psutil.Process, seen: dict[str, int]) -> None:
    """Record the peak anonymous memory of a process and its descendants until it ends.

    Mapped files are not counted (RssAnon of proc(5)): the system can reclaim them.

    Args:
        process: Parent process, such as a `dvc repro`.
        seen: Filled with the peak in bytes of each stage, by the name of its module.
    """
    with suppress(psutil.NoSuchProcess):  # it has ended
        while process.status() != psutil.STATUS_ZOMBIE:
            for member in [process, *process.children(recursive=True)]:
                _note_memory(member, seen)
            time.sleep(0.02)


def _note_memory(process: psutil.Process, seen: dict[str, int]) -> None:
    try:
        command = process.cmdline()
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (psutil.Error, OSError):  # a child that has just ended
        return
    match = re.search(r"RssAnon:\s+(\d+)", status)
    module = command[command.index("-m") + 1] if "-m" in command[:-1] else ""
    if match and module.startswith(("stages.", "bench.")):
        name = module.removeprefix("stages.")
        seen[name] = max(seen.get(name, 0), 1024 * int(match[1]))
