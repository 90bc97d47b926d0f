"""The sets that imports write: positions, sides, names, links, and what happens the second time."""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL.ExifTags import GPS
from pyproj import Transformer

from tests.importing.test_photos import make_exif, make_photo
from tests.support.repositories import ROOT
from vpr.commands.import_photos import import_, next_command
from vpr.datasets.tables import parse_tables
from vpr.importing.collection import Collection, LeftOut, Shot, Side, load_package
from vpr.importing.placing import choose_crs, safe_name, to_plane
from vpr.importing.splitting import Plan, find_drives, make_plan, split
from vpr.importing.writing import draw_map, is_current, write_set

DAY_S = 86_400
METRES_PER_DEGREE = 111_319.49


def street(folder: Path, day: int, *, count: int = 10, latitude: float = 52.5) -> list[Shot]:
    """Photos every 10 m eastwards and every 10 s, on a day of 2026."""
    folder.mkdir(parents=True, exist_ok=True)
    shots = []
    for number in range(count):
        path = folder / f"{day}-{number}.jpg"
        path.write_bytes(b"%d of day %d" % (number, day))
        east = 13.4 + number * 10 / METRES_PER_DEGREE / math.cos(math.radians(latitude))
        time = 1_790_000_000 + day * DAY_S + number * 10
        shots.append(Shot(path.name, path, (latitude, east), time))
    return shots


def plan_of(*shots: Shot, labels: bool = True, side: Side | None = None) -> Plan:
    return make_plan([(side, Collection("made", list(shots)))], crs=None, labels=labels)


def test_positions_are_those_of_pyproj_in_the_zone_of_the_median(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shots = street(tmp_path / "a", 0) + street(tmp_path / "a", 1)
    plan = plan_of(*shots)
    assert plan.crs == "EPSG:32633"
    write_set(Path("data/set"), plan)
    truth = parse_tables(Path("data/set/database.csv"))
    known = Transformer.from_crs(4326, 32633).transform(*np.array([s.at for s in shots[:10]]).T)
    np.testing.assert_allclose(truth.database.coordinates, np.column_stack(known), atol=1e-6)
    assert truth.query.paths == [f"photos/1-{number}.jpg" for number in range(10)]
    first = Path("data/set", truth.database.paths[0])
    assert first.samefile(shots[0].content)


def test_the_newest_day_is_the_query_side(tmp_path: Path) -> None:
    shots = [shot for day in (5, 3, 4) for shot in street(tmp_path, day)]
    sides, _, _ = split(shots, LeftOut(), hours_east=0.9)
    assert {shot.name[0] for shot in sides["query"]} == {"5"}
    assert [shot.name[0] for shot in sides["database"]] == ["3"] * 10 + ["4"] * 10


@dataclass(frozen=True)
class Broken:
    """A frame that cannot be decoded."""

    file: Path

    def __call__(self) -> bytes:
        """Fail."""
        raise ValueError("cut off")


def test_what_cannot_be_made_is_left_out_and_the_rest_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shots = street(tmp_path / "a", 0) + street(tmp_path / "a", 1)
    shots[3] = replace(shots[3], content=Broken(tmp_path / "a/0-3.jpg"))
    left_out = write_set(Path("data/set"), plan_of(*shots))
    assert left_out.lines() == ["1 cut off (photos/0-3.jpg)"]
    assert len(parse_tables(Path("data/set/database.csv")).database.paths) == 9


@dataclass(frozen=True)
class Slow:
    """A frame whose making can be interrupted; the file counts how often it was made."""

    file: Path
    made: Path

    def __call__(self) -> bytes:
        """Count, or stop as a Ctrl-C does."""
        if (self.made.parent / "stop").exists() and self.file.name == "1-4.jpg":
            raise KeyboardInterrupt
        with self.made.open("a") as file:
            file.write(self.file.name + "\n")
        return self.file.read_bytes()


def test_an_interrupted_import_leaves_nothing_half_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "made"
    shots = [
        replace(shot, content=Slow(shot.content, made))
        for shot in street(tmp_path / "a", 0) + street(tmp_path / "a", 1)
        if isinstance(shot.content, Path)
    ]
    (tmp_path / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        write_set(Path("data/set"), plan_of(*shots))
    assert not Path("data/set").exists()
    assert len(made.read_text().split()) == 14
    (tmp_path / "stop").unlink()
    write_set(Path("data/set"), plan_of(*shots))
    assert len(made.read_text().split()) == 20 == len(set(made.read_text().split()))
    assert len(parse_tables(Path("data/set/query.csv").with_name("database.csv")).query.paths) == 10
    assert not list(Path(".scratch").iterdir())


def test_an_import_that_is_killed_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(200):
        gps = {
            GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52.5 + number * 1e-4,),
            GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (13.3,),
        }  # fmt: skip
        make_photo(tmp_path / f"in/{number}.jpg", make_exif(gps, {}))
    killed = subprocess.Popen(
        [sys.executable, "-m", "vpr", "import", "in", "--to", "data/own", "--copy"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(Path(".scratch").rglob("*.jpg"))) < 20:
        assert killed.poll() is None and time.monotonic() < deadline
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not Path("data").exists()
    half = {path: path.stat().st_mtime_ns for path in Path(".scratch").rglob("*.jpg")}
    assert 20 <= len(half) < 200
    import_(Path("data/own"), [Path("in")], copy=True)
    kept = [Path("data/own", *path.parts[5:]) for path in half]
    assert [path.stat().st_mtime_ns for path in kept] == list(half.values())  # not made again
    import_(Path("data/whole"), [Path("in")], copy=True)
    files = {
        name: {
            path.relative_to(f"data/{name}"): path.read_bytes()
            for path in Path("data", name).rglob("*")
            if path.is_file()
        }
        for name in ("own", "whole")
    }
    assert files["own"] == files["whole"] and len(files["own"]) == 204
    assert not list(Path(".scratch").iterdir())


def test_sources_stay_as_they_are_and_copies_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shots = street(tmp_path / "a", 0) + street(tmp_path / "a", 1)
    before = [
        (p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted((tmp_path / "a").iterdir())
    ]
    write_set(Path("data/set"), plan_of(*shots), copy=True)
    assert not Path("data/set/photos/0-0.jpg").samefile(tmp_path / "a/0-0.jpg")
    assert before == [
        (p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted((tmp_path / "a").iterdir())
    ]


def test_photos_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    parts = [
        (side, Collection("made", [replace(shot, name="IMG.jpg") for shot in shots[:2]]))
        for side, shots in (("database", street(tmp_path, 0)), ("query", street(tmp_path, 1)))
    ]
    plan = make_plan(parts, crs=None, labels=True)  # type: ignore[arg-type]
    names = [shot.name for shots in plan.sides.values() for shot in shots]
    assert names == ["photos/IMG.jpg", *(f"photos/IMG-{n}.jpg" for n in (2, 3, 4))]


def test_a_single_drive_has_queries_without_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_of(*street(tmp_path / "a", 0))
    assert not plan.labels and "one drive only" in plan.words
    write_set(Path("data/set"), plan)
    truth = parse_tables(Path("data/set/database.csv"))
    assert truth.database.has_places and not truth.query.has_places
    assert truth.query.paths == ["photos/0-2.jpg", "photos/0-7.jpg"]
    assert not set(truth.query.paths) & set(truth.database.paths)


@pytest.mark.parametrize(
    ("place", "crs"),
    [
        ((52.5, 13.4), "EPSG:32633"), ((-33.9, 18.4), "EPSG:32734"), ((60.0, 5.5), "EPSG:32631"),
        ((0.0, 179.99), "EPSG:32660"), ((10.0, -180.0), "EPSG:32601"),
    ],
)  # fmt: skip
def test_the_zone_is_that_of_the_median(place: tuple[float, float], crs: str) -> None:
    assert choose_crs(np.array([place] * 3)) == crs


def test_positions_on_both_sides_of_the_180th_meridian_stay_together() -> None:
    degrees = np.array([[-17.0, 179.9999], [-17.0, -179.9999], [-17.0, -179.9998]])
    plane = to_plane(degrees, source="EPSG:4326", target=choose_crs(degrees))
    assert np.ptp(plane[:, 0]) < 40


def test_a_photo_from_another_continent_is_left_out(tmp_path: Path) -> None:
    shots = street(tmp_path, 0) + street(tmp_path, 1)
    shots[4] = replace(shots[4], at=(35.6, 139.7))
    (reason,) = plan_of(*shots).left_out.counts
    assert reason.startswith("too far from the others")


def test_the_map_has_a_point_for_each_photo(tmp_path: Path) -> None:
    picture = draw_map(plan_of(*street(tmp_path, 0), *street(tmp_path, 1)).sides)
    assert picture is not None and picture.count("<circle") == 20
    assert "database (10)" in picture and "query (10)" in picture


def test_the_second_time_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shots = street(tmp_path / "a", 0) + street(tmp_path / "a", 1)
    write_set(Path("data/set"), plan_of(*shots))
    assert is_current(Path("data/set"), plan_of(*shots))
    assert not is_current(Path("data/set"), plan_of(*shots[1:]))


def test_a_folder_of_somebody_elses_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not made by import"):
        is_current(tmp_path, plan_of(*street(tmp_path, 0), *street(tmp_path, 1)))


def test_a_pause_of_half_an_hour_ends_a_drive(tmp_path: Path) -> None:
    first = street(tmp_path, 0)
    later = [replace(shot, time=shot.time + 90 + 1800) for shot in first if shot.time]
    drives = find_drives([*later, *first], LeftOut())
    assert [[shot.time for shot in drive] for drive in drives.values()] == [
        [shot.time for shot in first], [shot.time for shot in later],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "name"),
    [(["a", "b.jpg"], "a/b.jpg"), (["a\\b.jpg"], "a_b.jpg"), (["a\rb\udc80.jpg"], "a_b_.jpg")],
)
def test_names_have_what_every_system_can_hold(parts: list[str], name: str) -> None:
    assert safe_name(parts) == name


def test_a_package_that_is_missing_is_named_with_what_installs_it() -> None:
    with pytest.raises(
        ValueError, match=r"^a\.mp4: nothing reads films, .* requirements-import\.txt$"
    ):
        load_package("nothing.at_all", Path("a.mp4"), reads="films")


def test_the_next_command_is_right_whatever_the_folder_is_called(tmp_path: Path) -> None:
    plan = plan_of(*street(tmp_path, 0), *street(tmp_path, 1))
    folder = Path("data/내 photos, it's 2")
    dvc, exp, run, *words = shlex.split(next_command(folder, plan))
    assert (dvc, exp, run, *words[::2]) == ("dvc", "exp", "run", *["-S"] * 4)
    read = OverridesParser.create().parse_overrides(words[1::2])
    assert {one.key_or_group: one.value() for one in read} == {
        "dataset.dir": folder.as_posix(), "dataset.index": "database.csv",
        "dataset.crs": "EPSG:32633", "prepare.radius_m": 25,
    }  # fmt: skip
