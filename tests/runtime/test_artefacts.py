"""Outs are built aside, checked, and renamed last."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import ROOT
from vpr.commands.doctor.machine import check_runs
from vpr.datasets.findings import Finding, Level
from vpr.runtime.artefacts import SCRATCH, built_aside, replaced_whole, require_space, running_outs


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leftovers() -> list[Path]:
    return list(SCRATCH.iterdir())


def test_outs_appear_together_at_the_end() -> None:
    file, folder = Path("data/a.txt"), Path("data/b")
    with built_aside(file, folder) as (aside_file, aside_folder):
        aside_file.write_text("a")
        aside_folder.mkdir()
        assert not file.exists()
    assert file.read_text() == "a"
    assert folder.is_dir()
    assert leftovers() == []


def test_an_old_out_stays_when_the_stage_fails() -> None:
    file = Path("a.txt")
    file.write_text("old")
    with pytest.raises(RuntimeError), built_aside(file) as (aside,):
        aside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert leftovers() == []


def test_an_old_folder_is_replaced_whole() -> None:
    folder = Path("b")
    folder.mkdir()
    (folder / "old").touch()
    with built_aside(folder) as (aside,):
        aside.mkdir()
        (aside / "new").touch()
    assert [file.name for file in folder.iterdir()] == ["new"]


def test_a_missing_out_is_an_error_and_nothing_is_moved() -> None:
    with (
        pytest.raises(ValueError, match=r"b\.txt: the stage ended without"),
        built_aside(Path("a.txt"), Path("b.txt")) as (aside, _),
    ):
        aside.write_text("a")
    assert not Path("a.txt").exists()


def test_an_empty_file_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"), built_aside(Path("a.txt")) as (aside,):
        aside.touch()


def test_a_disk_that_is_too_small_is_named_before_it_is_full() -> None:
    require_space(Path(), 1)
    with pytest.raises(OSError, match="GB are needed"):
        require_space(Path(), 10**18)


def test_what_a_kill_left_is_removed_by_the_next_run() -> None:
    aside = built_aside(Path("a.txt"))
    (place,) = aside.__enter__()
    place.write_text("half")
    del aside  # as a kill: the block never ends, the lock goes
    gc.collect()
    with built_aside(Path("a.txt")) as (place,):
        assert not place.exists()
        place.write_text("whole")
    assert Path("a.txt").read_text() == "whole"
    assert leftovers() == []


def test_work_with_a_key_goes_on_and_that_of_another_key_is_removed() -> None:
    with pytest.raises(RuntimeError), built_aside(Path("a.txt"), key="one") as (place,):
        place.write_text("half")
        raise RuntimeError
    with pytest.raises(RuntimeError), built_aside(Path("a.txt"), key="one") as (place,):
        assert place.read_text() == "half"
        raise RuntimeError
    with built_aside(Path("a.txt"), key="other") as (place,):
        assert not place.exists()
        assert len(leftovers()) == 2  # the lock, and the folder of this run
        place.write_text("whole")
    assert leftovers() == []


def test_a_second_process_is_refused_at_once_and_told_which_is_the_first() -> None:
    code = (
        "from pathlib import Path; from vpr.runtime.artefacts import built_aside\n"
        "with built_aside(Path('data/a')): pass"
    )
    with built_aside(Path("data/a")) as (place,):
        assert running_outs() == {"data.a": os.getpid()}
        second = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True
        )
        place.write_text("a")
    assert f"data/a: process {os.getpid()} is making it" in second.stderr.decode()
    assert running_outs() == {}


def test_a_file_replaced_whole_is_old_or_new() -> None:
    Path("a").write_bytes(b"old")
    with pytest.raises(RuntimeError), replaced_whole(Path("a")) as file:
        file.write(b"ne")
        raise RuntimeError
    assert Path("a").read_bytes() == b"old"
    with replaced_whole(Path("a")) as file:
        file.write(b"new")
    assert Path("a").read_bytes() == b"new"
    assert [path.name for path in Path().iterdir()] == ["a"]


def test_doctor_tells_runs_at_work_from_interrupted_ones() -> None:
    assert check_runs() == Finding("runs", "none running, none interrupted")
    with built_aside(Path("data/a"), key="one") as (place,):
        assert check_runs().level is Level.REFUSED
        assert check_runs().words.startswith(f"process {os.getpid()} is making data.a: wait")
        place.write_text("a")
    with pytest.raises(RuntimeError), built_aside(Path("data/a"), key="one"):
        raise RuntimeError
    words = "an interrupted run left .scratch/data.a: `dvc repro` resumes from it or removes it"
    assert check_runs() == Finding("runs", words, Level.NOTE)
