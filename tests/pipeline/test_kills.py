"""What a kill leaves: no half out, no orphan, no temporary file; the next run completes."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.test_declarations import STAGES
from tests.support.disks import small_disk
from tests.support.kills import losses, snapshot, strike
from tests.support.repositories import run

ORPHAN = """
import time
from pathlib import Path
from vpr.runtime.artefacts import built_aside
with built_aside(Path("data/submission/submit.json")):
    print(flush=True)
    time.sleep(60)
"""


def test_stages_that_were_killed_leave_nothing_and_the_next_run_completes(
    pipeline: Path,
) -> None:
    undisturbed = snapshot(pipeline)
    for stage, number, target, moment in (
        ("submit", signal.SIGTERM, "stage", 0.2),
        ("search", signal.SIGKILL, "group", 0.5),
        ("extract_db", signal.SIGKILL, "dvc", 0.8),
    ):
        blow = strike(pipeline, stage, number, target, moment)
        assert blow.seconds_to_end < 10
        assert "Traceback" not in blow.output
    # Ctrl-C is one line, to the whole group as a terminal sends it.
    blow = strike(pipeline, "trunk@query", signal.SIGINT, "group", 0.5)
    assert blow.seconds_to_end < 10
    ours = [line for line in blow.output.split("\n") if "interrupted" in line]
    assert len(ours) == 1
    assert "Traceback" not in blow.output
    assert losses(pipeline, undisturbed) == []


def test_a_second_run_beside_an_orphan_is_told_so_at_once(pipeline: Path) -> None:
    submit = shlex.split(STAGES["submit"]["cmd"])
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], cwd=pipeline, stdout=subprocess.PIPE
    ) as orphan:
        assert orphan.stdout and orphan.stdout.readline()
        output = run(pipeline, *submit, code=1)
        orphan.kill()
    assert f"data/submission/submit.json: process {orphan.pid} is making it" in output
    run(pipeline, *submit)
    assert list((pipeline / ".scratch").iterdir()) == []


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize(
    "stage, outs",
    [
        ("pretrained", "models/initial/"),
        pytest.param("finetune", "models/netvlad/", marks=pytest.mark.soak),
        pytest.param("report", "metrics/report/", marks=pytest.mark.soak),
    ],
)
def test_a_full_disk_is_told_earlier_outs_are_whole_and_the_next_run_completes(
    pipeline: Path, full: Path, stage: str, outs: str
) -> None:
    undisturbed = snapshot(pipeline)
    (pipeline / ".scratch").rename(pipeline / "scratch-before")
    (pipeline / ".scratch").symlink_to(full)
    output = run(pipeline, "dvc", "repro", "-s", "-f", stage, code=255)
    assert f"{stage}: error: [Errno 28] No space left on device" in output
    assert "make room" in output
    assert "Traceback" not in output
    lost = dict(undisturbed.items() - snapshot(pipeline).items())
    assert lost
    assert [name for name in lost if not name.startswith(outs)] == []
    # What finetune goes on from stays; of the others nothing does.
    assert stage == "finetune" or list(full.iterdir()) == []
    (pipeline / ".scratch").unlink()
    (pipeline / "scratch-before").rename(pipeline / ".scratch")
    assert losses(pipeline, undisturbed) == []
