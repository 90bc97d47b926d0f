"""Calls of the command dvc, and parameters as it reads them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.parameters import PARAMS_FILE, read_yaml

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


class _Representer(RoundTripRepresenter):
    """Writes null in full, as the file has it; ruamel's own leaves the place empty."""

    def represent_none(self, data: object) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def set_params(values: Mapping[str, object], *, path: Path = PARAMS_FILE) -> list[str]:
    """Change values, and write the file only if one differs.

    Args:
        values: New values by section and name, as in `search.top_k`.
        path: The parameter file.

    Returns:
        `key: old -> new` for each value that changed.

    Raises:
        ValueError: If the file is not readable or has no such key.
    """
    read_yaml(path)  # with its own words if it cannot be read
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 1000  # no line is wrapped
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(path)
    changed = []
    for key, value in values.items():
        section, name = key.split(".")
        if section not in content or name not in content[section]:
            raise ValueError(f"{path}: {key}: this key is missing")
        old = content[section][name]
        if old != value:
            content[section][name] = value
            was, becomes = ("null" if each is None else each for each in (old, value))
            changed.append(f"{key}: {was} -> {becomes}")
    if changed:
        text = io.StringIO()
        yaml.dump(content, text)
        with replaced_whole(path) as file:
            file.write(text.getvalue().encode())
    return changed
