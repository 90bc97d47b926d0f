"""What the doctor says about Python and its packages."""

from __future__ import annotations

import sys

from vpr.commands.doctor.finding import Finding
from vpr.runtime.environment import ENV_FILE, installed_version
from vpr.runtime.parameters import read_yaml

OLDEST_PYTHON = (3, 11)


def check_python() -> Finding:
    """Check whether this Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    needed = ".".join(map(str, OLDEST_PYTHON))
    words = (
        found if sys.version_info >= OLDEST_PYTHON else f"{found} is too old: {needed} is needed"
    )
    return Finding("Python", words, ok=sys.version_info >= OLDEST_PYTHON)


def check_packages() -> Finding:
    """Check whether the packages of env.yaml are installed in those versions."""
    differing = [
        f"{name} {installed_version(name) or 'is missing'} (expected {version})"
        for name, version in read_yaml(ENV_FILE).items()
        if installed_version(name) != version
    ]
    if any("is missing" in words for words in differing):
        return Finding("packages", f"{', '.join(differing)}: run `make setup`", ok=False)
    words = f"{', '.join(differing)}: results may differ" if differing else "as in env.yaml"
    return Finding("packages", words, ok=True)
