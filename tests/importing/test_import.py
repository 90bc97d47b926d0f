"""The sets that imports write: positions, sides, names, links, and what happens the second time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from vpr.datasets.csv_tables import parse_tables
from vpr.importing.collection import Collection, Shot, Side
from vpr.importing.planning import Plan, make_plan, safe_name
from vpr.importing.splitting import find_drives, split
from vpr.importing.writing import is_current, write_set

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
    sides = split(shots, hours_east=0.9)
    assert {shot.name[0] for shot in sides.query} == {"5"}
    assert [shot.name[0] for shot in sides.database] == ["3"] * 10 + ["4"] * 10


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
    drives, _ = find_drives([*later, *first])
    assert [[shot.time for shot in drive] for drive in drives.values()] == [
        [shot.time for shot in first], [shot.time for shot in later],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "name"),
    [(["a", "b.jpg"], "a/b.jpg"), (["a\\b.jpg"], "a_b.jpg"), (["a\rb\udc80.jpg"], "a_b_.jpg")],
)
def test_names_have_what_every_system_can_hold(parts: list[str], name: str) -> None:
    assert safe_name(parts) == name
