"""What a machine lacks for tests is said in the last lines, with the command that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.repositories import ROOT, dvc_environment

TEST = """
from tests.support.servers import find_program

def test_with_a_program() -> None:
    find_program("no-such-server")
"""


def run_tests(folder: Path, *, ci: str) -> list[str]:
    (folder / "test_it.py").write_text(TEST)
    words = ["-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    settings = {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "CI": ci}
    done = subprocess.run(
        [sys.executable, *words, "--rootdir", str(folder), str(folder)],
        cwd=folder, env=dvc_environment() | settings,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (ci == "true"), done.stdout
    return done.stdout.strip().split("\n")


def test_a_missing_program_is_named_last_with_the_command(tmp_path: Path) -> None:
    *_, advice, counts = run_tests(tmp_path, ci="")
    assert "1 skipped" in counts
    assert "lacks no-such-server. " in advice and "bash .ci/install_packages" in advice


def test_on_ci_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    assert any("missing on CI: no-such-server" in line for line in run_tests(tmp_path, ci="true"))
