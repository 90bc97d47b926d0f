"""Calls of the command dvc."""

from __future__ import annotations

import subprocess
from pathlib import Path


def ask_dvc(*words: str) -> str:
    """What a dvc command prints.

    Raises:
        OSError: If it fails; the message is its own.
    """
    done = subprocess.run(["dvc", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"dvc {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def tell_dvc(*words: str) -> bool:
    """Run a dvc command before the reader's eyes; whether it succeeded."""
    print(f"$ dvc {' '.join(words)}", flush=True)
    return subprocess.run(["dvc", *words], check=False).returncode == 0


def find_cache() -> Path:
    """DVC's cache, wherever it was told to keep it."""
    return Path(ask_dvc("cache", "dir").strip())


def read_config() -> dict[str, str]:
    """DVC's settings, those of `.dvc/config.local` and of the user included, by key."""
    lines = ask_dvc("config", "--list").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
