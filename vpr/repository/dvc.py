"""Calls of the command dvc."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

DVC = (sys.executable, "-m", "dvc")  # of this Python, whatever PATH says
PLAIN = re.compile(r"(?!(null|true|false|none|nan|inf)$)[A-Za-z][\w./-]*(:\w+)?", re.IGNORECASE)


def ask_dvc(*arguments: str) -> str:
    """Run a dvc command and return what it prints.

    Raises:
        OSError: If it fails; the message is DVC's.
    """
    # UTF-8 for any terminal: names may be in any script.
    done = subprocess.run(
        [*DVC, *arguments], env={**os.environ, "PYTHONIOENCODING": "utf-8"}, capture_output=True,
        encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise OSError(f"dvc {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def run_dvc(*arguments: str) -> bool:
    """Run a dvc command, with its output on the terminal; return whether it succeeded."""
    print(f"$ dvc {' '.join(arguments)}", flush=True)
    return subprocess.run([*DVC, *arguments], check=False).returncode == 0


def as_override(key: str, value: object) -> str:
    """Write a parameter as `dvc exp run -S` reads it (Hydra's grammar), whatever signs it has."""
    if not isinstance(value, str):
        return f"{key}={json.dumps(value)}"
    if PLAIN.fullmatch(value):
        return f"{key}={value}"
    # A backslash counts as itself, but for those before a quotation mark.
    quoted = re.sub(r"(\\*)('|$)", lambda sign: 2 * sign[1] + ("\\'" if sign[2] else ""), value)
    return f"{key}='{quoted}'"


def find_cache() -> Path:
    """Find DVC's cache, wherever its settings keep it."""
    return Path(ask_dvc("cache", "dir").strip())


def read_config() -> dict[str, str]:
    """Read DVC's settings by key, with those of `.dvc/config.local` and of the user."""
    lines = ask_dvc("config", "--list").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
