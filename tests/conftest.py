"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def require(condition: object, reason: str) -> None:
    """Skip the test with a reason where something is missing; on CI that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing on CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: Gardens Point's photos, the .mat files of Berlin and others."""
    folder = os.environ.get("VPR_REAL_DATA")
    require(folder, "VPR_REAL_DATA does not name the folder of real data")
    return Path(str(folder)).resolve()
