"""The store: values by the content that they were computed from, within a bound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.repositories import ROOT, run
from vpr.runtime.npz import pack_arrays, unpack_arrays
from vpr.runtime.store import FOLDER, Store, content_key, open_store

KEYS = [content_key(bytes([number])) for number in range(8)]


def entries(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("*/*")}


def test_a_value_is_found_whole_by_its_key_also_from_another_store(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=10**6)
    assert store.find(KEYS[0]) is None
    for key, value in zip(KEYS, (b"", b"a\0b", bytes(4000)), strict=False):
        store.keep(key, value)
        assert store.find(key) == Store(tmp_path, max_bytes=10**6).find(key) == value
    assert store.num_found == 3


def test_a_key_depends_on_every_part_and_on_where_it_ends() -> None:
    keys = {content_key(*parts) for parts in ((b"ab",), (b"a", b"b"), (b"b", b"a"), (b"ab", b""))}
    assert len(keys) == 4


@pytest.mark.parametrize("damage", [b"", b"short", bytes(60)])
def test_a_damaged_entry_is_not_found_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path, max_bytes=10**6)
    store.keep(KEYS[0], b"value")
    entries(tmp_path)[KEYS[0]].write_bytes(damage)
    assert store.find(KEYS[0]) is None
    store.keep(KEYS[0], b"value")
    assert store.find(KEYS[0]) == b"value"


def test_those_that_were_not_used_for_longest_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=10 * 4096)
    value = bytes(4000)  # a block of 4,096 bytes with its check
    for age, key in enumerate(KEYS):
        store.keep(key, value)
        os.utime(entries(tmp_path)[key], (age, age))
    assert store.find(KEYS[0]) == value  # used now
    for number in range(4):
        store.keep(content_key(b"new", bytes([number])), value)
    kept = entries(tmp_path)
    assert sum(path.stat().st_blocks * 512 for path in kept.values()) <= 10 * 4096
    assert KEYS[0] in kept and KEYS[7] in kept and not {KEYS[1], KEYS[2]} & set(kept)
    store.keep(content_key(b"large"), bytes(5000))  # more than a tenth of all
    assert store.find(content_key(b"large")) is None


def test_a_folder_that_is_deleted_or_cannot_be_written_costs_only_what_it_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").write_text("a file where a folder would be")
    store = Store(tmp_path / "full", max_bytes=10**6)
    for key in KEYS:
        store.keep(key, b"value")
        assert store.find(key) is None
    assert capsys.readouterr().err.count("results are not kept for later runs") == 1
    store = Store(tmp_path / "deleted", max_bytes=10**6)
    store.keep(KEYS[0], b"value")
    entry = entries(tmp_path / "deleted")[KEYS[0]]
    entry.unlink()
    entry.parent.rmdir()
    assert store.find(KEYS[0]) is None
    store.keep(KEYS[0], b"value")
    assert store.find(KEYS[0]) == b"value"


def test_a_disk_with_less_free_than_the_limit_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path, max_bytes=10**18)
    store.keep(KEYS[0], b"value")
    assert not store.has(KEYS[0]) and store.find(KEYS[0]) is None
    assert "GB are free, VPR_STORE_GB is 1e+09" in capsys.readouterr().err


def test_arrays_are_unpacked_as_they_were_packed() -> None:
    arrays = [np.array(3), np.empty((0, 64), np.float16), np.arange(6, dtype=np.uint16)[::2]]
    found = unpack_arrays(pack_arrays(*arrays))
    assert [array.dtype for array in found] == [array.dtype for array in arrays]
    for array, expected in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_two_processes_use_one_folder_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from vpr.runtime.store import Store, content_key
store = Store(Path(sys.argv[1]), max_bytes=40 * 4096)
for number in range(300):
    key = content_key(bytes([number % 60]))
    found = store.find(key)
    assert found in (None, bytes([number % 60]) * 900), found
    store.keep(key, bytes([number % 60]) * 900)
"""
    words = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert 0 < len(entries(tmp_path)) <= 48  # each may go beyond the limit by a tenth


def test_the_copies_that_experiments_run_in_share_the_store_of_their_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VPR_STORE_GB", raising=False)
    copy = tmp_path / ".dvc/tmp/exps/tmpa1b2"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    store = open_store()
    assert store is not None
    store.keep(KEYS[0], b"value")
    assert list(entries(tmp_path / FOLDER)) == KEYS[:1]
    monkeypatch.chdir(tmp_path)
    store = open_store()
    assert store is not None and store.find(KEYS[0]) == b"value"
    monkeypatch.setenv("VPR_STORE_GB", "0")
    assert open_store() is None
    for text in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("VPR_STORE_GB", text)
        with pytest.raises(ValueError, match=f"VPR_STORE_GB={text}: expected a number of gigab"):
            open_store()
    monkeypatch.delenv("VPR_STORE_GB")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert open_store() is None


@pytest.mark.parametrize("kinds", ["hardlink,copy", "reflink,hardlink,copy"])
def test_a_store_shares_its_files_with_dvc_where_dvc_does_not_copy_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    monkeypatch.delenv("VPR_STORE_GB", raising=False)
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    settings = f"[core]\n    no_scm = true\n[cache]\n    type = {kinds!r}\n"
    Path(".dvc/config").write_text(settings)
    store, out = open_store(), Path("out.npy")
    assert store is not None
    out.write_bytes(b"rows")
    store.keep_part(KEYS[0], [b"photo"], np.array([[1]]), [out])
    run(tmp_path, "dvc", "add", "-q", "out.npy")
    (part,) = store.list_parts(KEYS[0])
    assert part.files[0].samefile(out) == store.is_shared == (kinds == "hardlink,copy")


@pytest.mark.parametrize("is_shared", [False, True])
def test_linked_files_count_unless_they_are_dvcs(tmp_path: Path, is_shared: bool) -> None:
    store = Store(tmp_path / "store", max_bytes=100 * 4096, is_shared=is_shared)
    for number in range(40):
        (out := tmp_path / f"{number}.npy").write_bytes(bytes(8 * 4096))
        store.keep_part(KEYS[0], [bytes([number])], np.array([[1]]), [out])
    num_parts = len(store.list_parts(KEYS[0]))
    assert num_parts == 40 if is_shared else 5 < num_parts < 13
