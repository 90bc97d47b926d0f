"""What a piece of code imports, in a process that has imported it already."""

from __future__ import annotations

import sys

import pytest


def forget(patch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let modules of packages be imported anew, until the end of the test."""
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            patch.delitem(sys.modules, name)
