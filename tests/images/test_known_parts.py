"""Parts are cut by content, found in the store and linked; what a change of the photos writes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from tests.support.disks import small_disk
from tests.support.store_kills import ended, forked, kills_at_each_step
from vpr.images import known_parts
from vpr.images.known_parts import MOST_PHOTOS, Work, cut_parts, write_parts
from vpr.images.known_photos import UNKNOWN, KnownPhotos
from vpr.runtime.parts import Arrays, Rows, load_parts, save_part
from vpr.runtime.store import Store

NAMES = ("letters", "lengths")
EMPTY: Arrays = (np.empty(0, np.uint8), np.empty((0, 1), np.int64))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def arrays_of(content: bytes) -> Arrays:
    rows = np.frombuffer(b"" if content.endswith(b"0") else content, np.uint8)
    return rows, np.array([[len(rows)]])


def write_photos(numbers: Sequence[int]) -> list[Path]:
    files = [Path(f"{number}.txt") for number in numbers]
    for number, file in zip(numbers, files, strict=True):
        file.write_text(f"photo {number}" * 90 + str(number))
    return files


def write(
    folder: str, photos: list[Path], known: KnownPhotos, seen: list[int] | None = None
) -> dict[str, bytes]:
    """Write the parts of photos; return the files' bytes."""

    def compute(new: Sequence[int]) -> Iterator[Arrays]:
        for index in new:
            if seen is not None:
                seen.append(index)
            yield arrays_of(photos[index].read_bytes())

    shutil.rmtree(folder, ignore_errors=True)
    write_parts(Work("letters", Path(folder), NAMES, EMPTY, compute), photos, known)
    return {file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(Path(folder).rglob("*.npy"))}  # fmt: skip


def known(*, max_bytes: int = 10**7, is_shared: bool = False) -> KnownPhotos:
    return KnownPhotos(Store(Path("store"), max_bytes=max_bytes, is_shared=is_shared), "key")


def inodes(folder: str) -> set[int]:
    return {file.stat().st_ino for file in Path(folder).rglob("*.npy")}


def test_one_photo_more_or_less_changes_the_parts_beside_it_alone() -> None:
    digests = [sha256(bytes([n % 251, n // 251])).digest() for n in range(20_000)]
    parts = cut_parts(digests)
    assert [index for part in parts for index in part] == list(range(len(digests)))
    assert 50 < len(digests) / len(parts) < 80
    assert max(map(len, parts)) <= MOST_PHOTOS
    whole = {tuple(digests[n] for n in part) for part in parts}
    for place in (0, 777, 19_999):
        for changed in ([*digests[:place], sha256(b"new").digest(), *digests[place:]],
                        digests[:place] + digests[place + 1 :]):  # fmt: skip
            now = {tuple(changed[n] for n in part) for part in cut_parts(changed)}
            assert len(now - whole) <= 2
    same = cut_parts([digests[3]] * 1000)  # photos that are all alike
    assert [len(part) for part in same] == [256, 256, 256, 232]


CHANGES: dict[str, tuple[Callable[[list[int]], list[int]], int]] = {
    "added": (lambda old: [*old[:40], 900, *old[40:]], 1),
    "removed": (lambda old: old[:40] + old[41:], 0),
    "replaced": (lambda old: [*old[:40], 901, *old[41:]], 1),
    "reordered": (lambda old: [*old[200:], *old[199::-1]], 0),
    "same": (lambda old: old, 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_computes_what_is_new_and_gives_a_fresh_runs_bytes(change: str) -> None:
    apply, num_new = CHANGES[change]
    numbers = list(range(400))
    before = write("before", write_photos(numbers), known())
    photos, seen = write_photos(apply(numbers)), list[int]()
    found = write("after", photos, known(), seen)
    assert len(seen) == num_new
    assert found == write("fresh", photos, UNKNOWN)
    if change == "same":
        assert inodes("after") == inodes("before")
    elif change != "reordered":
        assert len(inodes("after") - inodes("before")) <= 2 * len(NAMES)  # of some 6 parts
    assert (found == before) == (change == "same")
    arrays = load_parts(Path("after"), NAMES, what="letters")
    rows = Rows(arrays[0], np.concatenate([[0], np.cumsum(np.concatenate(arrays[1]))]))
    for index, photo in enumerate(photos):  # some have no rows
        np.testing.assert_array_equal(rows.of(index), arrays_of(photo.read_bytes())[0])


def test_parts_that_were_changed_or_deleted_are_computed_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = write_photos(range(300))
    fresh = write("fresh", photos, UNKNOWN)
    assert write("out", photos, known()) == fresh
    assert write("out", photos, known()) == fresh
    assert "letters: 300 of 300 photos were found in the store" in capsys.readouterr().err
    largest = max(Path("out/letters").iterdir(), key=lambda file: file.stat().st_size)
    with largest.open("r+b") as file:  # in place: the store has the same file
        file.write(b"damage")
    seen: list[int] = []
    assert write("out", photos, known(), seen) == fresh
    assert 0 < len(seen) < 300
    again: list[int] = []
    assert write("out", photos, known(), again) == fresh
    assert again == []
    one = next(Path("store/parts").glob("*/*"))
    shutil.rmtree(one)
    assert write("out", photos, known()) == fresh

    def vanish(new: Sequence[int]) -> Iterator[Arrays]:
        shutil.rmtree("store")
        yield from (arrays_of(photos[index].read_bytes()) for index in new)

    photos += write_photos([901])
    work = Work("letters", Path("vanished"), NAMES, EMPTY, vanish)
    write_parts(work, photos, known())
    found = write("fresh", photos, UNKNOWN)
    assert {name: Path("vanished", name).read_bytes() for name in found} == found


def test_without_links_a_list_keeps_its_share_and_with_them_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = write_photos(range(300))
    for _ in range(2):
        seen: list[int] = []
        write("out", photos, known(max_bytes=4 * 150_000), seen)
    assert 0 < len(seen) < 300
    told = capsys.readouterr().err.splitlines()[-1]
    held = f"the store holds {300 - len(seen)} of 300 photos"
    assert told == f"letters: {held}: VPR_STORE_GB=1 holds all"
    for _ in range(2):
        seen = []
        write("out", photos, known(max_bytes=4 * 150_000, is_shared=True), seen)
    assert seen == []


def test_equal_photos_take_no_other_photos_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_parts, "SECONDS_BETWEEN_SAVES", 0.0)  # each is saved
    photos = write_photos([1, 2, 3, 4])
    photos[1].write_bytes(photos[0].read_bytes())
    for store in (UNKNOWN, known(), known()):
        write("out", photos, store)
        rows = b"".join(file.read_bytes()[128:] for file in sorted(Path("out/letters").iterdir()))
        assert rows == b"".join(photo.read_bytes() for photo in photos)


def test_no_photos_make_empty_arrays() -> None:
    assert set(write("out", [], UNKNOWN)) == {f"{name}/000000.npy" for name in NAMES}
    assert [len(part) for (part,) in load_parts(Path("out"), NAMES, what="letters")] == [0, 0]


def test_parts_are_the_same_after_a_kill_and_beside_another_process() -> None:
    photos = write_photos(range(300))

    def write_until(stop: int, folder: str) -> None:
        def compute(new: Sequence[int]) -> Iterator[Arrays]:
            for count, index in enumerate(new):
                if count == stop:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield arrays_of(photos[index].read_bytes())

        write_parts(Work("letters", Path(folder), NAMES, EMPTY, compute), photos, known())

    for stop in (3, 250):
        shutil.rmtree("store", ignore_errors=True)
        both = [forked(partial(write_until, end, f"out{end}")) for end in (stop, -1)]
        assert ended(both[1]) == 0
        assert ended(both[0]) in (-signal.SIGKILL, 0)  # 0: it found what the other had kept
        fresh = write("fresh", photos, UNKNOWN)
        assert {name: Path("out-1", name).read_bytes() for name in fresh} == fresh
        assert write("again", photos, known()) == fresh
        for folder in Path().glob("out*"):
            shutil.rmtree(folder)


@pytest.mark.parametrize("is_grown", [False, True])
def test_a_kill_at_any_step_of_the_store_changes_no_byte(is_grown: bool) -> None:
    photos, store = write_photos(range(110)), Path("store")
    Path("before").mkdir()
    if is_grown:
        write("out", photos, known())
        store.rename("before/store")
        photos = [*photos[:50], *write_photos([901]), *photos[50:]]
    fresh, steps = write("fresh", photos, UNKNOWN), 0
    shutil.copytree("before", ".", dirs_exist_ok=True)
    for _ in kills_at_each_step(store, lambda: write("out", photos, known())):
        steps += 1
        assert write("again", photos, known()) == fresh
        shutil.rmtree(store)
        shutil.copytree("before", ".", dirs_exist_ok=True)
    assert steps > 8
    assert write("again", photos, known()) == fresh


def test_a_disk_that_fills_up_meanwhile_costs_what_the_store_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = write_photos(range(600, 1100))  # 0.4 MB
    fresh = write("fresh", photos, UNKNOWN)
    with small_disk(Path("store")) as disk:

        def fill_meanwhile(new: Sequence[int]) -> Iterator[Arrays]:
            for index in new:
                if index == 250:
                    with suppress(OSError), Path(disk / "other").open("wb") as other:
                        other.write(bytes(2**20))
                yield arrays_of(photos[index].read_bytes())

        work = Work("letters", Path("out"), NAMES, EMPTY, fill_meanwhile)
        write_parts(work, photos, known(max_bytes=500_000, is_shared=True))
        assert {name: Path("out", name).read_bytes() for name in fresh} == fresh
        assert capsys.readouterr().err.count("note: results are not kept for later runs: ") == 1
        (disk / "other").unlink()
        for _ in range(2):
            seen: list[int] = []
            assert write("out", photos, known(max_bytes=500_000, is_shared=True), seen) == fresh
            assert len(seen) < 300


def test_another_users_store_is_read_and_a_copy_is_whole_or_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def fill_up(source: IO[bytes], copy: IO[bytes]) -> None:
        copy.write(source.read(100))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    photos = write_photos(range(100))
    fresh = write("fresh", photos, UNKNOWN)
    for name in ("link", "utime"):
        monkeypatch.setattr(os, name, refuse)
    assert write("out", photos, known(max_bytes=10**15)) == fresh
    assert "note: results are not kept for later runs: " in capsys.readouterr().err
    assert not list(Path("store").rglob("*.npy"))
    for _ in range(2):
        seen: list[int] = []
        assert write("out", photos, known(), seen) == fresh
    assert seen == []
    monkeypatch.setattr(shutil, "copyfileobj", fill_up)
    with pytest.raises(OSError, match="No space left"):
        write("out", photos, known())
    assert not [file for file in Path("out").rglob("*") if file.is_file()]


def test_more_parts_than_files_may_be_open_are_mapped() -> None:
    for number in range(200):
        part = [[np.array([number], np.uint8), np.array([[1]])]]
        save_part(Path("many"), NAMES, part, first=number)

    def load_with_few() -> None:
        limit = len(list(Path("/proc/self/fd").iterdir())) + 30
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
        rows, _ = load_parts(Path("many"), NAMES, what="letters")
        assert [part.tolist() for part in rows] == [[number] for number in range(200)]

    assert ended(forked(load_with_few)) == 0


def test_a_part_has_the_bytes_of_its_photos_arrays_saved_as_one() -> None:
    maps = [np.arange(12.0, dtype=np.float32).reshape(2, 6).T, np.empty((0, 2), np.float32)]
    counts = [np.array([[len(rows)]]) for rows in maps]
    files = save_part(Path("part"), NAMES, zip(maps, counts, strict=True), first=7)
    for file, arrays in zip(files, (maps, counts), strict=True):
        np.save("whole.npy", np.concatenate(arrays))
        assert file.read_bytes() == Path("whole.npy").read_bytes()
