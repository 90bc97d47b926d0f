"""Calls of the command dvc."""

from __future__ import annotations

import os
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
        [*DVC, *words], env={**os.environ, "PYTHONIOENCODING": "utf-8"}, capture_output=True,
        encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
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


def tell_cache_path(cache: Path) -> str | None:
    """Say why experiments outside the workspace fail; None where the cache's path is no reason.

    DVC writes that path into the settings of their folders, in ASCII whatever it holds.

    Args:
        cache: What `find_cache` gave.
    """
    if str(cache).isascii():
        return None
    return (
        f"{cache} has letters beyond ASCII, which DVC cannot write into the settings of an "
        "experiment's own folder: `dvc exp run --temp` fails with 'ascii' codec, --run-all never "
        "ends. Move the repository to a path without them, or the cache: `dvc cache dir --local "
        "/path/to/cache`"
    )


def read_config() -> dict[str, str]:
    """Read DVC's settings, those of `.dvc/config.local` and of the user included, by key."""
    lines = ask_dvc("config", "--list").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
