"""Outs are built aside, checked, and renamed last."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpr.artefacts import SCRATCH, built_aside, require_space


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
