"""The doctor says whether the remote answers and whether the cache has its sizes."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path

import pytest

from tests.support.servers import free_port
from vpr.commands.doctor.sharing import (
    check_cache,
    check_cache_path,
    check_config,
    check_locks,
    check_remote,
)
from vpr.datasets.findings import Finding, Level
from vpr.repository.recorded_outs import Recorded, stored_at

FILE = Recorded(Path("data/a.bin"), "a" * 32, "make", Path("data/a.bin"), 3)


def config(url: str, **more: str) -> dict[str, str]:
    keys = {"url": url, **more}
    return {"core.remote": "storage"} | {f"remote.storage.{k}": v for k, v in keys.items()}


@pytest.mark.parametrize("form", ["http://{}/vpr", "ssh://{}/srv/vpr", "s3"])
def test_a_remote_that_listens_is_ok_and_one_that_does_not_is_told(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for port, words in (
            (server.getsockname()[1], "answers"),
            (free_port(), "nothing answers at 127.0.0.1:"),
        ):
            place = f"127.0.0.1:{port}"
            settings = config(form.format(place))
            if form == "s3":
                settings = config("s3://vpr/store", endpointurl=f"http://{place}")
            finding = check_remote(settings)
            assert words in finding.words
            assert finding.level is (Level.FINE if words == "answers" else Level.NOTE)


def test_a_folder_that_nobody_pushed_to_is_a_note(tmp_path: Path) -> None:
    assert check_remote(config(str(tmp_path / "none"))).level is Level.NOTE
    assert check_remote(config(str(tmp_path))) == Finding("remote storage", str(tmp_path))
    assert "none is configured" in check_remote({}).words


def test_emptied_settings_have_a_way_back_and_are_said_by_the_quick_part_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_config().level is Level.FINE  # DVC needs none
    (tmp_path / ".dvc").mkdir()
    for content in ("", "\n"):
        (tmp_path / ".dvc/config").write_text(content)
        finding = check_config()
        assert finding.level is Level.LOUD
        assert "is empty" in finding.words
        assert "`git checkout .dvc/config`" in finding.words
    (tmp_path / ".dvc/config").write_text("['remote \"storage\"']\n    url = /공유 폴더\n", "utf-8")
    assert check_config().level is Level.FINE


def test_a_cache_beyond_ascii_is_noted_as_it_stops_experiments_of_their_own_folder() -> None:
    assert check_cache_path(Path("/home/me/vpr/.dvc/cache")).level is Level.FINE
    for path in ("/home/me/연구/.dvc/cache", "/home/josé/.dvc/cache"):
        found = check_cache_path(Path(path))
        assert found.level is Level.NOTE
        assert found.words.startswith(f"{path} has letters beyond ASCII")
        assert "dvc cache dir --local" in found.words


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "expected sections"),
        ("stages: 5\n", "stages = 5: Input should be"),
        ("a: [", "readable"),
    ],
)
def test_a_lock_file_that_a_killed_dvc_left_empty_has_a_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_locks() == "0 outs"  # nothing ran yet
    Path("dvc.lock").write_text(content)
    with pytest.raises(ValueError, match=f"(?s){words}.*git checkout dvc.lock"):
        check_locks()


def put(cache: Path, md5: str, content: bytes) -> Path:
    file = stored_at(cache, md5)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_a_cache_that_lacks_bytes_is_named_by_out(tmp_path: Path) -> None:
    listing = json.dumps(
        [{"md5": "c" * 32, "relpath": "1.txt"}, {"md5": "d" * 32, "relpath": "2.txt"}]
    ).encode()
    name = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    folder = Recorded(Path("data/b"), name, "make", Path("data/b"), 7)
    both = [FILE, folder]
    assert check_cache(tmp_path, [FILE]).words.startswith("0 of 1 outs are here")  # not pulled
    put(tmp_path, FILE.md5, b"abc")
    put(tmp_path, name, listing)
    put(tmp_path, "c" * 32, b"1234")
    second = put(tmp_path, "d" * 32, b"567")
    whole = check_cache(tmp_path, both)
    assert whole.level is Level.FINE
    assert whole.words.startswith("2 of 2 outs are here and have the recorded size")
    second.unlink()
    damaged = check_cache(tmp_path, both)
    assert damaged.level is Level.NOTE and "data/b has 4 of 7 bytes" in damaged.words
    put(tmp_path, FILE.md5, b"ab")
    assert "data/a.bin has 2 of 3 bytes" in check_cache(tmp_path, both).words
