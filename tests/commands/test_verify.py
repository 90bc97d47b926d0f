"""`python -m vpr verify` finds the bytes that DVC takes for whole, and brings them back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.repositories import ROOT, run
from vpr.__main__ import app
from vpr.runtime.store import FOLDER, Store

STAGE = """
stages:
  make:
    cmd: mkdir data/made && echo one > data/made/1.txt && echo two > data/made/2.txt
    deps: [data/given.txt]
    outs: [data/made]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with data, and a stage that ran; nothing in the remote."""
    folder = tmp_path_factory.mktemp("whole") / "repo"
    (folder / ".dvc").mkdir(parents=True)
    (folder / "data").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "data/given.txt").write_text("given")
    (folder / "dvc.yaml").write_text(STAGE)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "add", "-q", "data/given.txt")
    run(folder, "dvc", "repro", "-q")
    return folder


@pytest.fixture
def repository(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_dvc: None
) -> Path:
    """A copy of it, as the current folder."""
    folder = Path(shutil.copytree(whole, tmp_path / "repo", symlinks=True))
    monkeypatch.chdir(folder)
    return folder


def verify(*options: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["verify", *options])
    assert done.exit_code == code, done.output
    return done.output


def flip(file: Path, *, keep_time: bool = True) -> None:
    """Change the first byte, as a failing disk does, without a trace in the file's times."""
    content, status = file.read_bytes(), file.stat()
    file.chmod(0o644)
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    file.chmod(status.st_mode)
    if keep_time:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def stored(repository: Path, content: bytes) -> Path:
    """The object of the cache with this content."""
    objects = (repository / ".dvc/cache/files/md5").glob("??/*")
    (found,) = [path for path in objects if path.read_bytes() == content]
    return found


def test_a_byte_changed_in_an_out_is_found_where_dvc_sees_none_and_comes_from_the_cache(
    repository: Path,
) -> None:
    assert "All files here are as recorded" in verify()
    run(repository, "dvc", "status")
    flip(repository / "data/made/1.txt")
    assert "up to date" in run(repository, "dvc", "status")
    assert "'data/made/1.txt' of make: differs from the record" in verify(code=1)
    assert "Mended" in verify("--mend")
    assert (repository / "data/made/1.txt").read_text() == "one\n"
    (aside,) = (repository / ".scratch").glob("damaged-*/*")
    assert aside.read_text() == "nne\n"


def test_a_byte_changed_in_the_cache_is_named_and_comes_from_the_out(repository: Path) -> None:
    file = stored(repository, b"two\n").relative_to(repository)
    flip(file)
    output = verify(code=1)
    assert f"{file}: damaged in the cache, where it is 'data/made/2.txt' of make" in output
    assert "Mended" in verify("--mend")
    assert file.read_text() == "two\n"


def test_what_has_no_whole_copy_here_comes_from_the_remote(repository: Path) -> None:
    run(repository, "dvc", "push", "-q")
    for file in (stored(repository, b"given"), repository / "data/given.txt"):
        flip(file)
    output = verify("--mend")
    assert "$ dvc pull data/given.txt" in output
    assert (repository / "data/given.txt").read_text() == "given"


def test_what_has_no_whole_copy_anywhere_is_made_again_or_named(repository: Path) -> None:
    listing = next((repository / ".dvc/cache/files/md5").glob("??/*.dir"))
    for file in (stored(repository, b"two\n"), repository / "data/made/2.txt", listing):
        flip(file)
    output = verify("--mend")
    assert "$ dvc repro --force --single-item make" in output
    assert (repository / "data/made/2.txt").read_text() == "two\n"
    for file in (stored(repository, b"given"), repository / "data/given.txt"):
        flip(file)
    output = verify("--mend", code=1)
    assert "lost: 'data/given.txt' of data/given.txt.dvc" in output


def test_a_byte_changed_in_the_store_is_named_and_its_part_forgotten(repository: Path) -> None:
    store = Store(repository / FOLDER, max_bytes=10**6)
    for photo in (b"one", b"two"):
        (repository / "rows.npy").write_bytes(photo)
        store.keep_part("key", [photo], np.array([[1]]), [repository / "rows.npy"])
        (repository / "rows.npy").unlink()
    parts = store.list_parts("key")
    damaged = parts[0]
    flip(damaged.files[0])
    assert len(store.list_parts("key")) == 2  # by size and time
    assert "0.npy: damaged in the store of results\nThe damaged" in verify("--mend")
    (whole,) = store.list_parts("key")
    assert whole.digests == parts[1].digests


def test_what_is_absent_is_not_damaged(repository: Path) -> None:
    shutil.rmtree(repository / ".dvc/cache")
    shutil.rmtree(repository / "data/made")
    assert "All files here are as recorded" in verify()
