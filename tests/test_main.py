"""A mistake in a command is answered in one line that says what to type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.repositories import ROOT


def ask(folder: Path, *words: str, python: tuple[str, ...] = (sys.executable,)) -> tuple[int, str]:
    done = subprocess.run(
        [*python, "-m", "vpr", *words], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_misspelt_command_gets_the_near_one(tmp_path: Path) -> None:
    code, told = ask(tmp_path, "sumary")
    assert code == 2
    assert "No such command 'sumary'. Did you mean 'summary'?" in told


def test_a_python_without_the_packages_is_told_how_to_get_them(tmp_path: Path) -> None:
    code, told = ask(tmp_path, "summary", python=(sys.executable, "-S"))
    assert code == 1
    assert told.startswith("error: the package 'typer' is not installed for ")
    assert ". .venv/bin/activate" in told
    assert told.count("\n") == 1


def test_below_the_root_the_root_is_named_and_score_needs_none(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dvc.yaml").touch()  # as of the demo set
    code, told = ask(tmp_path / "data", "verify")
    assert code == 1
    assert told.endswith(f"is below the repository's root: run the command in {tmp_path}\n")
    code, told = ask(tmp_path / "data", "score", "--predictions", "p.json", "--truth", "t.mat")
    assert "--truth t.mat: there is no such file or folder" in told
    assert ask(tmp_path / "data", "gate", "--help")[0] == 0
