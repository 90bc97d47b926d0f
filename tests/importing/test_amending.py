"""Photos added to a set or taken out of it: its table, its files, and nothing lost in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.importing import amending
from vpr.importing.amending import (
    IN_THE_SET,
    Change,
    add_photos,
    find_table,
    place_among,
    read_table,
    remove_photos,
)
from vpr.importing.collection import Collection, Shot
from vpr.importing.splitting import make_plan
from vpr.importing.writing import write_set
from vpr.places.index import parse_index

BERLIN = (52.504167, 13.335833)
STEP_DEG = 0.0003


def photo(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), (shade, 90, 60)).save(path)
    return path


def shot(path: Path, number: int) -> Shot:
    """A photo of a drive, by its number on the street."""
    at = (BERLIN[0], BERLIN[1] + STEP_DEG * number)
    return Shot(path.name, path, at, 1_790_000_000.0 + 10 * number)


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An imported set of 4 database photos and 2 queries, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shots = [replace(shot(photo(Path(f"a/{n}.png"), 10 * n), n), sequence="a") for n in range(6)]
    sides = [("database", Collection("made", shots[:4])), ("query", Collection("made", shots[4:]))]
    write_set(Path("data/street"), make_plan(sides, crs=None, labels=True))  # type: ignore[arg-type]
    return Path("data/street")


def add(street: Path, *shots: Shot, crs: str | None = "EPSG:32633") -> Change:
    table = read_table(street / "database.csv")
    placed, left_out = place_among(table, [Collection("made", list(shots))], crs=crs)
    return add_photos(table, placed, left_out, copy=False)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_new_photos_are_rows_at_the_end_and_those_before_keep_every_byte(street: Path) -> None:
    before = files_of(street)
    change = add(street, shot(photo(Path("b/8.png"), 200), 8), shot(photo(Path("b/7.png"), 201), 7))
    assert change.photos == ["photos/7.png", "photos/8.png"]  # as they were driven by
    after = files_of(street)
    assert after["database.csv"].startswith(before["database.csv"])
    index = parse_index(street / "database.csv")
    assert index.paths[4:] == change.photos
    steps = np.diff(index.coordinates[:, 0])
    np.testing.assert_allclose(steps[3:], steps[0] * np.array([4.0, 1.0]), rtol=1e-3)
    assert {name: after[name] for name in before if name != "database.csv"} == {
        name: before[name] for name in before if name != "database.csv"
    }
    assert (street / "photos/8.png").samefile("b/8.png")
    change.undo()
    assert files_of(street) == before


def test_the_second_time_nothing_is_added_whatever_the_photos_are_called(street: Path) -> None:
    new = shot(photo(Path("b/0.png"), 200), 9)
    assert add(street, new).photos == ["photos/0-2.png"]  # 0.png is another's
    before = files_of(street)
    again = add(street, new, shot(photo(Path("b/copy.png"), 200), 10))
    assert again.photos == []
    assert again.left_out.counts == {IN_THE_SET: 2}
    assert files_of(street) == before


def test_a_photo_that_does_not_decode_is_left_out(street: Path) -> None:
    Path("b").mkdir()
    Path("b/cut.png").write_bytes(Path("a/0.png").read_bytes()[:50])
    change = add(street, shot(Path("b/cut.png"), 7), shot(photo(Path("b/whole.png"), 99), 8))
    assert change.photos == ["photos/whole.png"]
    (line,) = change.left_out.lines()
    assert line.startswith("1 not a readable image") and line.endswith("(photos/cut.png)")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_an_addition_that_is_interrupted_leaves_the_set_as_it_was(
    street: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before, real = files_of(street), amending.write_photo

    def stop_at_the_second(target: Path, content: Path, *, copy: bool) -> None:
        if target.name == "8.png":
            raise error
        real(target, content, copy=copy)

    monkeypatch.setattr(amending, "write_photo", stop_at_the_second)
    with pytest.raises(type(error) if isinstance(error, OSError) else KeyboardInterrupt):
        add(street, *(shot(photo(Path(f"b/{n}.png"), 200 + n), n) for n in (7, 8)))
    assert files_of(street) == before


def test_a_file_that_a_kill_left_behind_is_taken_up(street: Path) -> None:
    photo(street / "photos/7.png", 200)
    assert add(street, shot(photo(Path("b/7.png"), 200), 7)).photos == ["photos/7.png"]


def test_a_column_that_the_table_lacks_is_empty_in_the_rows_before(street: Path) -> None:
    table = street / "database.csv"
    rows = [line.split(",")[:3] for line in table.read_text().splitlines()]
    table.write_text("".join(",".join([*row, "mine"]) + "\n" for row in rows).replace(
        "northing,mine", "northing,note"))  # fmt: skip
    add(street, shot(photo(Path("b/7.png"), 200), 7))
    lines = table.read_text().splitlines()
    assert lines[0] == "path,easting,northing,note,sequence,time"
    assert lines[1].endswith(",mine,,") and lines[-1].endswith("Z") and ",,2026" in lines[-1]
    index = parse_index(table)
    assert index.sequence is not None and index.sequence[:4] == [""] * 4 and index.sequence[4]


def test_positions_that_do_not_fit_the_sets_are_refused(street: Path) -> None:
    new = shot(photo(Path("b/7.png"), 200), 7)
    with pytest.raises(ValueError, match="crs = null: the set's coordinates have no reference"):
        add(street, new, crs=None)
    with pytest.raises(ValueError, match=r"is made for .* but the new photos's middle"):
        add(street, new, crs="EPSG:32650")
    assert len(read_table(street / "database.csv").rows) == 4


def test_photos_are_taken_out_by_name_pattern_or_file_and_their_files_stay(street: Path) -> None:
    table, files = street / "database.csv", files_of(street)
    assert remove_photos(read_table(table), ["photos/0.png"]).photos == ["photos/0.png"]
    change = remove_photos(read_table(table), [str(street / "photos/3.png")])
    assert change.photos == ["photos/3.png"]
    with pytest.raises(ValueError, match=r"photos/0\.png: names no photo of data/street/database"):
        remove_photos(read_table(table), ["photos/1.png", "photos/0.png"])
    assert read_table(table).names == ["photos/1.png", "photos/2.png"]
    with pytest.raises(ValueError, match="no photo would be left of its 2"):
        remove_photos(read_table(table), ["photos/*"])
    assert set(files_of(street)) == set(files)
    change.undo()
    assert read_table(table).names == [f"photos/{n}.png" for n in (1, 2, 3)]


def test_a_set_in_another_form_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "street.mat").touch()
    with pytest.raises(ValueError, match=r"set has street\.mat: `python -m vpr export data/NAME"):
        find_table(tmp_path, None, "database")
