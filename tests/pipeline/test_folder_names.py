"""In a path of spaces and Korean letters all works, and what DVC cannot do there is said."""

from __future__ import annotations

import json
import re
import shutil
import sysconfig
from pathlib import Path

import pytest

from tests.support.repositories import ROOT, run, set_key, stages_run

ASIDE = ("dvc", "exp", "run", "--temp", "evaluate", "-S", "evaluate.num_samples=100")


@pytest.fixture
def home(finished_pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the finished pipeline, cache included, below a path of spaces and Korean."""
    folder = tmp_path / "연구 자료" / "내 vpr"
    return Path(shutil.copytree(finished_pipeline, folder, symlinks=True))


def test_the_pipeline_that_all_tests_share_ran_in_such_a_path(finished_pipeline: Path) -> None:
    assert " " in str(finished_pipeline)
    assert not str(finished_pipeline).isascii()


@pytest.mark.long
def test_make_sets_up_and_runs_in_a_clone_there(home: Path) -> None:
    clone = home.with_name("복제 하나")
    run(home, "git", "clone", "-q", ".", str(clone))
    shown = run(clone, "make", "-n", "run").splitlines()
    assert shown[-3:] == [
        ".venv/bin/python -m vpr doctor --quick",
        "dvc repro",
        ".venv/bin/python -m vpr summary",
    ]
    shutil.copytree(home / ".dvc/cache", clone / ".dvc/cache", symlinks=True)
    run(clone, "make", ".venv/python.done")
    (site,) = (clone / ".venv/lib").glob("python*/site-packages")
    (site / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")  # pip adds nothing
    run(clone, "dvc", "checkout", "-q")
    set_key(clone, "evaluate.num_samples", "100")
    output = run(clone, "make", "run")
    assert ".venv/bin/python -m pip install" in output
    assert stages_run(output) == {"evaluate", "report"}
    assert re.search(r"^recall@1  0\.\d+ \(", output, flags=re.M)


def test_no_name_of_a_set_or_of_weights_is_shell_text(home: Path) -> None:
    """The shell would open a quote, run a command or write a file."""
    name = "joe's \"$(touch made) > made"
    shutil.copytree(home / "data/sample", home / "data" / name)
    weights = home / "models/pretrained/o'neil; touch made.pth"
    weights.write_bytes(b"no checkpoint")
    set_key(home, "dataset.dir", json.dumps(f"data/{name}"))
    set_key(home, "pretrained.weights", json.dumps(weights.name))
    assert stages_run(run(home, "dvc", "repro", "-s", "prepare")) == {"prepare"}
    told = run(home, "dvc", "repro", "-s", "pretrained", code=255)
    assert "o'neil; touch made.pth: refused, nothing in it was run" in told
    assert list(home.rglob("made")) == []


@pytest.mark.long
def test_experiments_aside_need_a_cache_elsewhere(home: Path, tmp_path: Path) -> None:
    assert "'ascii' codec can't encode" in run(home, *ASIDE, code=255)  # if not, DVC is mended
    shutil.copytree(home / ".dvc/cache", tmp_path / "cache", symlinks=True)
    run(home, "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    assert stages_run(run(home, *ASIDE)) == {"evaluate"}


def test_a_remote_of_such_a_path_is_written_by_hand_as_the_page_says(
    home: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "공유 폴더/vpr"
    run(home, "dvc", "remote", "modify", "storage", "url", str(shared), code=255)
    config = home / ".dvc/config"
    assert config.read_bytes() == b""  # if not, DVC is mended
    doctor = ("python", "-m", "vpr", "doctor", "--quick")
    assert "NOTE DVC's settings: .dvc/config is empty" in run(home, *doctor)
    run(home, "git", "checkout", "-q", ".dvc/config")
    assert run(home, *doctor) == ""
    page = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```ini\n(.*?)```", page, flags=re.S)
    section = re.compile(r"\['remote \"storage\"'\]\n(?: .*\n)+")
    text, count = section.subn(block.replace("/mnt/공유 폴더/vpr", str(shared)), config.read_text())
    assert count == 1
    config.write_text(text, encoding="utf-8")
    assert "pushed" in run(home, "dvc", "push", "data/descriptors/database.npy")
    assert list(shared.rglob("files/md5/*/*"))
