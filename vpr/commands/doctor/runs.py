"""What the doctor says about runs: those at work, and what interrupted ones left."""

from __future__ import annotations

from pathlib import Path

from vpr.commands.doctor.finding import Finding
from vpr.runtime.artefacts import SCRATCH, running_outs


def check_runs(root: Path) -> Finding:
    """Report processes that are making outs, and interrupted runs that can resume.

    Args:
        root: The repository.
    """
    scratch = root / SCRATCH
    running = running_outs(scratch)
    if running:
        words = ", ".join(f"process {pid} is making {out}" for out, pid in running.items())
        advice = "wait for it; if no dvc is running, it is an orphan: end it with `kill` and its id"
        return Finding("runs", f"{words}: {advice}", ok=False)
    left = sorted(lock.with_suffix("") for lock in scratch.glob("*.lock"))
    if left:
        words = f"an interrupted run left {', '.join(map(str, left))}"
        advice = "`dvc repro` resumes from it or removes it"
        return Finding("runs", f"{words}: {advice}", ok=True, is_note=True)
    return Finding("runs", "none running, none interrupted", ok=True)
