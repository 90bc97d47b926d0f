"""A photo's value is found by its bytes: what a change of the photos sends through the trunk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.store_kills import ended, forked, kills_at_each_step
from tests.support.streamed_stage import make_inputs, run_stages
from vpr.features import extraction
from vpr.images.known_photos import Form, KnownPhotos
from vpr.runtime.store import FOLDER, Store

TEXT = Form(str.encode, bytes.decode)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VPR_STORE_GB", "1")


def photos() -> list[Path]:
    return sorted(Path("images").iterdir())


def rename_all(files: Sequence[Path]) -> None:
    """Give files the names that a folder of images has, in their order."""
    moved = [file.rename(file.with_name(f"{number}.new")) for number, file in enumerate(files)]
    for number, file in enumerate(moved):
        file.rename(file.with_name(f"{number:06d}.png"))


def draw(file: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")


def add() -> None:
    draw(Path("images/0000005.png"), 1)  # after 000000 and before 000001, which moves all others
    rename_all(photos())


def remove() -> None:
    photos()[2].unlink()
    rename_all(photos())


def replace() -> None:
    draw(photos()[4], 2)


def reorder() -> None:
    rename_all([*photos()[5:], *photos()[4::-1]])


@pytest.mark.parametrize(
    "stored, changes", [("all", [(add, remove), (replace, reorder)]), (0, [(add, reorder)])]
)
def test_a_changed_folder_sends_what_is_new_through_the_network_and_gives_a_fresh_runs_bytes(
    stored: str | int, changes: list[tuple[Callable[[], None], ...]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    make_inputs(tmp_path)
    counts: list[int] = []
    whole = extraction._compute

    def counted(trunk: object, batch: Sequence[Path], *rest: object) -> object:
        counts.append(len(batch))
        return whole(trunk, batch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "_compute", counted)

    def run(name: str) -> tuple[bytes, bytes, int]:
        counts.clear()
        run_stages(name, stored)
        return (
            b"".join(file.read_bytes() for file in sorted(Path("features").rglob("*.npy"))),
            Path(f"{name}.npy").read_bytes(),
            sum(counts),
        )

    fresh = run("without")
    assert fresh[2] == 12
    Path(".dvc").mkdir()
    assert run("first") == fresh
    assert run("same") == (*fresh[:2], 0)
    assert "12 of 12 photos were found in the store" in capsys.readouterr().err
    for pair in changes:  # which renames photos, and has one that is new
        for change in pair:
            change()
        found = run("changed")
        assert found[2] == 1, pair
        Path(".dvc").rename("set-aside")
        assert run("without")[:2] == found[:2], pair
        Path("set-aside").rename(".dvc")
    shutil.rmtree(FOLDER)
    assert run("deleted")[:2] == found[:2]


def known(max_bytes: int = 10**7) -> KnownPhotos:
    return KnownPhotos(Store(Path("store"), max_bytes=max_bytes), "key")


def write_names(number: int = 6) -> list[Path]:
    files = [Path(f"{index}.txt") for index in range(number)]
    for file in files:
        file.write_text(f"photo {file.stem}" * 100)
    return files


def read(files: list[Path], seen: list[int]) -> Callable[[Sequence[int]], Iterator[str]]:
    def compute(new: Sequence[int]) -> Iterator[str]:
        for index in new:
            seen.append(index)
            yield files[index].read_text()

    return compute


def test_what_is_removed_or_damaged_while_it_is_looked_up_is_computed() -> None:
    files, seen = write_names(), []
    expected = [file.read_text() for file in files]
    assert list(known().look_up("names", files, read(files, seen), TEXT)) == expected
    assert seen == [0, 1, 2, 3, 4, 5]
    values = known().look_up("names", files, read(files, seen := []), TEXT)
    begun = [next(values), next(values)]
    for number, entry in enumerate(sorted(Path("store").glob("*/*"))):
        entry.write_bytes(b"damaged") if number % 2 else entry.unlink()
    assert [*begun, *values] == expected
    assert seen == [2, 3, 4, 5]
    assert list(known().look_up("names", files, read(files, seen := []), TEXT)) == expected
    assert len(seen) == 2  # those that were found before


def test_a_list_beyond_its_share_of_the_store_keeps_its_first_values_and_says_what_holds_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    files, seen = write_names(), []
    for _ in range(3):
        small = known(max_bytes=4 * 3 * 4096)  # a quarter of it is three blocks of a disk
        seen.clear()
        assert len(list(small.look_up("names", files, read(files, seen), TEXT))) == 6
    assert seen == [3, 4, 5]
    message = "names: the store holds 3 of 6 photos: VPR_STORE_GB=1 holds all\n"
    assert capsys.readouterr().err.endswith(message)
    list(known().look_up("names", files, read(files, seen), TEXT))
    assert "VPR_STORE_GB" not in capsys.readouterr().err


def test_values_are_the_same_after_a_kill_and_beside_another_process() -> None:
    files, seen = write_names(200), []
    expected = [file.read_text() for file in files]

    def look_up(stop: int | None) -> None:
        values = known().look_up("names", files, read(files, []), TEXT)
        for number, value in enumerate(values):
            assert value == expected[number]
            if number == stop:
                os.kill(os.getpid(), signal.SIGKILL)

    for stop in (3, 150):
        both = [forked(partial(look_up, end)) for end in (stop, None)]
        assert list(map(ended, both)) == [-signal.SIGKILL, 0]
    assert list(known().look_up("names", files, read(files, seen), TEXT)) == expected
    assert seen == []


def test_a_kill_at_any_step_of_the_store_changes_no_value() -> None:
    files, steps = write_names(3), 0
    expected = [file.read_text() for file in files]

    def look_up() -> list[str]:
        return list(known().look_up("names", files, read(files, []), TEXT))

    for _ in kills_at_each_step(Path("store"), look_up):
        steps += 1
        assert look_up() == expected
        shutil.rmtree("store")
    assert steps > 8
