"""`python -m vpr lockfile`: what a changed dvc.lock means."""

from __future__ import annotations

import subprocess

CHANGED = """dvc.lock is not as committed. If you changed a parameter, code or data, this is your
result. If you changed nothing, this is another type of CPU or another number of threads: hashes
then differ in rounding. Either way keep the new dvc.lock (`git add dvc.lock metrics`): without it
the next run would compute everything again."""


def lockfile() -> None:
    """Say what to do when the run left a dvc.lock that differs from the committed one."""
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "dvc.lock"], check=False)
    if changed.returncode == 1:
        print(CHANGED)
