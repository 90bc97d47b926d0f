"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.repositories import make_pipeline, missing_program, require


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: Gardens Point's photos, the .mat files of Berlin and others."""
    folder = os.environ.get("VPR_REAL_DATA")
    require(folder, "VPR_REAL_DATA does not name the folder of real data")
    return Path(str(folder)).resolve()


@pytest.fixture(scope="session")
def finished_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository in which the pipeline ran once on a small demo set; not to be changed.

    All worker processes share it. Its path has spaces and Korean letters, as a user's may have.
    """
    home = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent  # of the whole session
    folder = home / "길 하나" / "내 repo"
    with FileLock(home / "pipeline.lock"):
        if not (home / "pipeline.done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make_pipeline(folder)
            (home / "pipeline.done").touch()
    return folder


@pytest.fixture
def pipeline(finished_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the finished pipeline, cache included, to do with as one likes."""
    return Path(shutil.copytree(finished_pipeline, tmp_path / "repo", symlinks=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last how to install the programs that skipped tests lack."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)}
    programs = sorted(filter(None, (missing_program(reason) for reason in reasons)))
    if programs:
        terminalreporter.write_line(
            f"Some tests were skipped, as this machine lacks {', '.join(programs)}. "
            "To install what tests need (Debian, as root): bash .ci/install_packages"
        )
