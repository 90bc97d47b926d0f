"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.support.repositories import make_pipeline, missing_program, require, run, set_key
from tests.support.warm_python import warm_path
from vpr.datasets.mat_files import read_dbstruct


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: Gardens Point's photos, the .mat files of Berlin and others."""
    folder = os.environ.get("VPR_REAL_DATA")
    require(folder, "VPR_REAL_DATA does not name the folder of real data")
    return Path(str(folder)).resolve()


@pytest.fixture(scope="module")
def mat_files_read_once() -> Iterator[None]:
    """Equal .mat files are read once by the tests of a file: each reading starts a process."""
    known: dict[bytes, Any] = {}

    def read(path: Path) -> Any:  # noqa: ANN401 - what read_dbstruct returns
        content = path.read_bytes()
        if content not in known:
            known[content] = read_dbstruct(path)
        return known[content]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vpr.datasets.dbstruct.read_dbstruct", read)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole session, which all worker processes share."""
    home = tmp_path_factory.getbasetemp()
    return home.parent if "PYTEST_XDIST_WORKER" in os.environ else home


@pytest.fixture(scope="session")
def warm_dvc() -> Iterator[None]:
    """DVC that code in this process asks starts warm, as in `run`."""
    with pytest.MonkeyPatch.context() as patch:
        if "VPR_COLD_TESTS" not in os.environ:
            patch.setattr("vpr.repository.dvc.DVC", (f"{warm_path()}/dvc",))
        yield


@pytest.fixture(scope="session")
def finished_pipeline(shared_folder: Path, warm_dvc: None) -> Path:
    """A DVC repository in which the pipeline ran once on a small demo set; not to be changed.

    All worker processes share it. Its path has spaces and Korean letters, as a user's may have.
    """
    return made_once(shared_folder / "길 하나" / "내 repo", make_pipeline)


@pytest.fixture(scope="session")
def finished_wider_pipeline(finished_pipeline: Path, shared_folder: Path) -> Path:
    """The finished pipeline, evaluated once more with a radius of 60 m, uncommitted.

    The network is not trained again; what it made is committed to DVC as if it had been.
    """

    def widen(folder: Path) -> None:
        shutil.copytree(finished_pipeline, folder, symlinks=True, dirs_exist_ok=True)
        set_key(folder, "prepare.radius_m", "60")
        run(folder, "dvc", "repro", "--single-item", "prepare", "evaluate")
        run(folder, "dvc", "commit", "-q", "-f")

    return made_once(shared_folder / "wider", widen)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder in the first worker process that asks for it."""
    done = folder.with_name(f"{folder.name}.done")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture
def narrow_vgg16(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG16 with an eighth of its channels, for what does not depend on how many there are."""
    eighth = (3, 8, 8, 16, 16, *[32] * 3, *[64] * 6)
    monkeypatch.setattr("vpr.encoders.vgg16.CHANNELS", eighth)


@pytest.fixture
def pipeline(finished_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the finished pipeline, cache included, to do with as one likes."""
    return Path(shutil.copytree(finished_pipeline, tmp_path / "repo", symlinks=True))


@pytest.fixture
def wider_pipeline(finished_wider_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the pipeline with two radii, to do with as one likes."""
    return Path(shutil.copytree(finished_wider_pipeline, tmp_path / "repo", symlinks=True))


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
