"""Whole repositories to run commands in, and what more than one test file needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.warm_python import warm_path

ROOT = Path(__file__).resolve().parents[2]
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # which `make test` hands down
AFTER_SEARCH = {"foreign", "inliers", "order", "evaluate", "submit", "report"}
SMALL = {  # a dozen small images, so that a whole run takes seconds
    "sample.num_database": "12",
    "sample.num_query": "8",
    "sample.off_map": "0",
    "sample.spacing_m": "25.0",
    "sample.difficulty": "0.2",
    "sample.width_px": "64",
    "sample.height_px": "48",
    "search.top_k": "5",
    # The challenge's network, of random weights, which trains for an epoch.
    "pretrained.weights": "random",
    "trunk.encoder": "vgg16",
    "trunk.model": "null",
    "trunk.trainable_from": "conv5_1",
    "trunk.max_side_px": "null",
    "finetune.num_clusters": "4",
    "finetune.epochs": "1",
    "rerank.method": "none",
    "evaluate.accept_by": "distance",
    "evaluate.num_samples": "200",
}


def dvc_environment() -> dict[str, str]:
    """Environment of a command that finds this Python, and no setting of the user's or make's."""
    return {
        **{name: value for name, value in os.environ.items() if name not in OF_MAKE},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run(folder: Path, *command: str, code: int = 0) -> str:
    """Run a command in a folder, expect its exit code, and give all that it printed."""
    environment = dvc_environment()
    if "VPR_COLD_TESTS" not in environment:
        environment["PATH"] = f"{warm_path()}:{environment['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    return text


def copy_repository(folder: Path) -> Path:
    """The repository's tracked files, a small demo set, and git without a commit; nothing ran."""
    for name in run(ROOT, "git", "ls-files").split("\n"):
        source = ROOT / name
        if source.is_file() and not name.startswith(
            ("tests/", "metrics/queries", "metrics/rec", "metrics/det", "metrics/cal")
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    for lock in ("dvc.lock", "data/dvc.lock"):
        (folder / lock).unlink(missing_ok=True)
    for key, value in SMALL.items():
        set_key(folder, key, value)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "git", "config", "user.email", "tester@example.org")
    return folder


def make_pipeline(folder: Path) -> Path:
    """Make a DVC repository and run the pipeline in it once, on a small demo set."""
    copy_repository(folder)
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "The pipeline, run once")
    return folder


def require_program(path: object, name: str) -> None:
    """Skip the test where a program of Debian's is missing; on CI that is a failure."""
    require(path, f"{name} is not installed")


def missing_program(reason: str) -> str | None:
    """Find the program that `require_program` missed, in the reason of a skipped test."""
    found = re.search(r"(\S+) is not installed$", reason)
    return found[1] if found else None


def require(condition: object, reason: str) -> None:
    """Skip the test with a reason where something is missing; on CI that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing on CI: {reason}")
    pytest.skip(reason)


def change(folder: Path, old: str, new: str) -> None:
    """Replace a text in the parameters of a folder."""
    params = (folder / "params.yaml").read_text()
    assert old in params
    (folder / "params.yaml").write_text(params.replace(old, new))


def stages_run(output: str) -> set[str]:
    return {name.split(":")[-1] for name in re.findall(r"Running stage '([^']+)'", output)}


def set_key(folder: Path, key: str, value: str) -> None:
    """Set one parameter in the text of a folder's parameters; its comment stays."""
    section, name = key.split(".")
    line = re.compile(
        rf"(^{section}:.*\n(?:(?:  .*)?\n)*?  {name}: )[^#\n]*?( *#.*)?$", re.MULTILINE
    )
    params, count = line.subn(rf"\g<1>{value}\g<2>", (folder / "params.yaml").read_text())
    assert count == 1, key
    (folder / "params.yaml").write_text(params)
