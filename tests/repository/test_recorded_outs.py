"""Hashes of outs, and which files count as read before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from vpr.repository.recorded_outs import KnownHashes, hash_listing, hash_out

OLD_NS = 10**18


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_folder_is_hashed_by_the_listing_of_the_files_in_and_below_it(tmp_path: Path) -> None:
    (tmp_path / "b/c").mkdir(parents=True)
    for name in ("a", "b/a", "b/c/a"):
        (tmp_path / name).write_text(name)
    expected = hash_listing({name: md5(name.encode()) for name in ("a", "b/a", "b/c/a")})
    assert hash_out(tmp_path) == expected == hash_out(tmp_path, KnownHashes().hash_file)


def test_a_file_is_read_again_when_it_is_another_or_was_written_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")
    os.utime(file, ns=(OLD_NS, OLD_NS))
    first = KnownHashes()
    assert first.hash_file(file) == md5(b"1")
    file.rename(tmp_path / "moved")
    second = KnownHashes(first)
    (tmp_path / "moved").write_bytes(b"x")
    os.utime(tmp_path / "moved", ns=(OLD_NS, OLD_NS))  # as no program does, so that reading shows
    assert second.hash_file(tmp_path / "moved") == md5(b"1")
    file.write_bytes(b"2")  # young: another write could have the same time
    assert second.hash_file(file) == md5(b"2")
    state = file.stat()
    file.write_bytes(b"3")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert second.hash_file(file) == md5(b"3")
