"""Calls of the command dvc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DVC = (sys.executable, "-m", "dvc")  # of this Python, whatever PATH says


def ask_dvc(*words: str) -> str:
    """Run a dvc command and take what it prints.

    Raises:
        OSError: If it fails; the message is its own.
    """
    # In UTF-8 whatever the terminal's encoding is: names may be in any script.
    done = subprocess.run(
        [*DVC, *words], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise OSError(f"dvc {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def tell_dvc(*words: str) -> bool:
    """Run a dvc command before the reader's eyes; whether it succeeded."""
    print(f"$ dvc {' '.join(words)}", flush=True)
    return subprocess.run([*DVC, *words], check=False).returncode == 0


def find_cache() -> Path:
    """Find DVC's cache, wherever its settings keep it."""
    return Path(ask_dvc("cache", "dir").strip())


def read_config() -> dict[str, str]:
    """Read DVC's settings, those of `.dvc/config.local` and of the user included, by key."""
    lines = ask_dvc("config", "--list").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
