"""Calls of the command git."""

from __future__ import annotations

import subprocess
from pathlib import Path


def differs_from_commit(path: str) -> bool:
    """Return whether a file differs from the last commit; False if there is no commit."""
    command = ["git", "diff", "--quiet", "HEAD", "--", path]
    return subprocess.run(command, capture_output=True, check=False).returncode == 1


def is_tracked(path: Path) -> bool:
    """Return whether git tracks a file, or files below a folder."""
    command = ["git", "ls-files", "--", str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0 and bool(done.stdout)


def current_commit() -> str | None:
    """Find the hash of the commit that is checked out; None outside a repository."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None
