"""Rows that do not follow a route are told, as rows that do are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vpr.datasets.findings import Finding, Level
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.order_checks import check_density, check_fixes, check_order
from vpr.places.index import ImageIndex

ROUTE = np.stack([10 * np.arange(60.0), np.zeros(60)], axis=1)


def checked(
    places: NDArray[np.float64], names: list[str] | None = None,
    sequence: list[str] | None = None, radius_m: float = 25,
) -> Finding:  # fmt: skip
    """What is found where the queries have this order, and the database follows a route."""
    names = names or [f"{number:03d}.jpg" for number in range(len(places))]
    query = ImageIndex(names, places, sequence)
    database = ImageIndex([f"d{number:03d}.jpg" for number in range(60)], ROUTE)
    return check_order(GroundTruth(database, query, None, "by hand"), radius_m=radius_m)


def test_a_route_with_stops_turns_and_a_second_pass_is_fine() -> None:
    angle = np.linspace(0, 4 * np.pi, 200)
    loop = 300 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    stops = np.concatenate([ROUTE[:20], np.repeat(ROUTE[20:21], 30, axis=0), ROUTE[20:]])
    for places in (ROUTE, ROUTE[::-1], loop, stops):
        assert checked(places).level is Level.FINE
    two_drives = np.concatenate([ROUTE, ROUTE + np.array([0, 5000])])
    assert checked(two_drives).level is Level.FINE


def test_shuffled_rows_and_a_loop_sorted_by_easting_are_no_route() -> None:
    shuffled = ROUTE[np.random.default_rng(0).permutation(60)]
    angle = np.linspace(0, 2 * np.pi, 200)
    loop = 300 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    by_easting = loop[np.argsort(loop[:, 0])]
    for places in (shuffled, by_easting):
        found = checked(places)
        assert found.level is Level.NOTE
        assert found.numbers["query_jumps"] > 0.3 and found.numbers["database_jumps"] == 0
        assert "query side: " in found.words and "jump over nearer images" in found.words
        assert "the interval along the route" in found.words


def test_numbers_in_the_order_of_text_are_named() -> None:
    numbers = sorted(range(60), key=str)
    found = checked(ROUTE[numbers], [f"q{number}.jpg" for number in numbers])
    assert found.level is Level.NOTE
    assert "as text ('q10.jpg' before 'q11.jpg')" not in found.words
    assert "as text ('q19.jpg' before 'q2.jpg')" in found.words
    padded = [f"q{number:02d}.jpg" for number in range(60)]
    assert checked(ROUTE, padded).level is Level.FINE
    assert checked(ROUTE, [f"q{number}.jpg" for number in range(60)]).level is Level.FINE


@pytest.mark.parametrize("name", ["a-.jpg", "img_2015-03-01.jpg", "0a9f.jpg"])
def test_names_whose_letters_alone_decide_are_no_text_order(name: str) -> None:
    names = sorted([name, *(f"a{number:02d}.jpg" for number in range(59))])
    assert checked(ROUTE, names).level is Level.FINE


def test_eastings_in_names_that_are_not_padded_are_named(tmp_path: Path) -> None:
    for side in ("database", "queries"):
        (tmp_path / side).mkdir()
        for number in range(15):
            (tmp_path / side / f"@{float(number)}@0.0@@@@@@@@@@@@{number}@.jpg").touch()
    found = check_order(parse_set(tmp_path, None), radius_m=2)
    assert "@14.0@0.0@@@@@@@@@@@@14@.jpg' before 'database/@2.0@" in found.words


@pytest.mark.parametrize(
    "names",
    [
        [f"{side}/{number:03d}.jpg" for number in range(30) for side in ("left", "right")],
        [f"{number:03d}_{side}.jpg" for number in range(30) for side in ("left", "right")],
        [f"{number:03d}_cam{side}.jpg" for number in range(20) for side in range(3)],
    ],
)
def test_rows_that_alternate_between_cameras_are_named(names: list[str]) -> None:
    places = np.repeat(ROUTE, 3, axis=0)[: len(names)]
    found = checked(places, names)
    assert "rows alternate between" in found.words and "column sequence" in found.words
    cameras = [name.split("/")[0][-9:-4] if "cam" in name else "one" for name in names]
    grouped = sorted(range(60), key=lambda row: (cameras[row], row))
    if "cam0" in names[0]:
        found = checked(places[grouped], [names[row] for row in grouped],
                        [cameras[row] for row in grouped])  # fmt: skip
        assert found.level is Level.FINE


def test_steps_between_recordings_are_no_jumps() -> None:
    places = np.concatenate([ROUTE[20 * part : 20 * part + 10] * [50, 1] for part in range(3)])
    assert checked(places, sequence=[f"drive {row // 10}" for row in range(30)]).level is Level.FINE


def test_the_real_sets_follow_their_routes(real_data: Path) -> None:
    for name, index, radius_m in (
        ("berlin", None, 50), ("oxford", None, 45), ("nordland", None, 5),
        ("gardens_point", "day.mat", 2),
    ):  # fmt: skip
        truth = parse_set(real_data / name, index)
        assert check_order(truth, radius_m=radius_m).level is Level.FINE, name


def route(
    places: NDArray[np.float64], heading: NDArray[np.float64] | None = None
) -> dict[str, Finding]:
    """What is found of a database, and of queries that are ten of its places."""
    names = [f"d{number:03d}.jpg" for number in range(len(places))]
    database = ImageIndex(names, places, heading=heading)
    query = ImageIndex(names[:10], ROUTE[:10])
    truth = GroundTruth(database, query, None, "by hand")
    return {found.key: found for found in (check_fixes(truth), check_density(database, 25))}


def test_a_receiver_that_repeats_its_fix_is_noted_and_a_panorama_is_not() -> None:
    stuck = np.concatenate([ROUTE[:20], np.repeat(ROUTE[20:21], 12, axis=0), ROUTE[21:]])
    found = route(stuck)["stale_fixes"]
    assert found.level is Level.NOTE and found.numbers == {"database": 12, "query": 0}
    assert "1 runs at exactly one position, the longest of 12 from 'd020.jpg'" in found.words
    views = np.repeat(ROUTE, 24, axis=0)  # as in Pittsburgh, whose names have no heading
    assert route(views)["stale_fixes"].level is Level.FINE
    turning = np.where(np.arange(71) < 20, 0, np.arange(71) * 30.0 % 360)
    assert route(stuck, turning)["stale_fixes"].level is Level.FINE


def test_density_and_gaps_are_measured_along_the_route() -> None:
    holed = np.concatenate([ROUTE[:20], ROUTE[30:]])
    found = route(holed)["density"]
    assert found.numbers == {"median_m": 10, "gaps": 1}
    assert "1 gaps of more than 50 m between neighbouring rows, the longest of 110 m" in found.words
    again = np.concatenate([holed, ROUTE[18:32]])  # a second pass drives through it
    assert route(again)["density"].numbers["gaps"] == 0
    shuffled = holed[np.random.default_rng(0).permutation(50)]
    assert route(shuffled)["density"].numbers["gaps"] == 0  # rows of no route have none
