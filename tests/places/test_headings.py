"""Headings: the circle closes, unknown ones decide nothing, and true north is not grid north."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from vpr.datasets.checks import check_places
from vpr.datasets.findings import Level
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.evaluation.metrics import summarise_same_way
from vpr.places.crs import grid_headings, list_directions
from vpr.places.index import ImageIndex, load_index, save_index
from vpr.places.radius import find_positives, find_same_places, keep_same_way, turns_between

UNKNOWN = np.nan
HEADINGS = np.array([0.0, 90.0, 180.0, UNKNOWN])
DATABASE = ImageIndex(list("abcd"), np.zeros((4, 2)), heading=HEADINGS)
QUERY = ImageIndex(list("xyz"), np.zeros((3, 2)), heading=np.array([350.0, UNKNOWN, 226.0]))


def test_a_turn_is_the_shorter_way_round() -> None:
    turns = turns_between(np.array([350.0, 10.0, 0.0, UNKNOWN]), np.array([20.0, 350, 180, 5]))
    np.testing.assert_array_equal(turns, [30, 20, 180, UNKNOWN])


def test_a_photo_at_the_same_place_that_looks_elsewhere_is_no_positive() -> None:
    alike = find_same_places(DATABASE, QUERY, radius_m=1, max_heading_deg=46)
    # Of 350: 0 is 10 away; 226 is 46 from 180, the edge counts; unknown ones stay everywhere.
    assert np.split(alike.indices, alike.indptr[1:-1])[0].tolist() == [0, 3]
    assert np.split(alike.indices, alike.indptr[1:-1])[1].tolist() == [0, 1, 2, 3]
    assert np.split(alike.indices, alike.indptr[1:-1])[2].tolist() == [2, 3]
    assert (alike.data == 0).all()  # distances of 0 m stay stored
    assert find_same_places(DATABASE, QUERY, radius_m=1, max_heading_deg=None).nnz == 12


def test_recall_of_the_same_way_counts_only_what_surely_looks_there() -> None:
    positives = find_positives(DATABASE.coordinates, QUERY.coordinates, radius_m=1)
    rankings = np.array([[3, 0], [1, 2], [2, 0]])
    found = summarise_same_way(rankings, positives, DATABASE, QUERY, ns=[1, 2])
    # The third is 46 degrees off its only candidate: more than a quarter of the circle's half.
    assert found == {
        "same_way_num_queries": 1, "same_way_recall@1": 0.0, "same_way_recall@2": 1.0
    }  # fmt: skip
    plain = ImageIndex(list("xyz"), np.zeros((3, 2)))
    assert summarise_same_way(rankings, positives, DATABASE, plain, ns=[1]) == {}


def test_a_limit_without_headings_on_both_sides_is_refused_and_radians_are_noted() -> None:
    places = np.arange(24.0).reshape(12, 2)
    names = [f"{n}.jpg" for n in range(12)]
    radians = ImageIndex(names, places, heading=np.linspace(0, 6.2, 12))
    truth = GroundTruth(radians, ImageIndex(names, places), None, "by hand")
    asked = {one.key: one for one in
             check_places(truth, radius_m=5, crs=None, max_heading_deg=40)}  # fmt: skip
    assert asked["headings"].level is Level.REFUSED
    assert "known of 12 of 12 database images and 0 of 12 query" in asked["headings"].words
    free = {one.key: one for one in check_places(truth, radius_m=5, crs=None)}["headings"]
    assert free.level is Level.NOTE
    assert "the database side are within 0 to 2 pi: radians?" in free.words


@pytest.mark.parametrize(("place", "zone"), [((6.05, 60.0), 32632), ((14.9, -33.0), 32733)])
def test_grid_north_of_a_map_is_found_by_walking_north(
    place: tuple[float, float], zone: int
) -> None:
    walk = Transformer.from_crs(4326, zone, always_xy=True)
    start, end = (np.array(walk.transform(place[0], place[1] + step)) for step in (0, 1e-3))
    east, north = end - start
    expected = np.degrees(np.arctan2(east, north)) % 360  # true north seen on the map
    found = grid_headings(np.array([0.0]), start[None], f"EPSG:{zone}")
    assert abs(found[0] - expected) < 0.01
    assert grid_headings(np.array([77.0]), start[None], None) == 77.0


def test_headings_keep_through_tables_and_blank_is_unknown(tmp_path: Path) -> None:
    save_index(tmp_path / "i.csv", DATABASE)
    assert (tmp_path / "i.csv").read_text().splitlines() == [
        "index,path,easting,northing,heading", "0,a,0.0,0.0,0.0", "1,b,0.0,0.0,90.0",
        "2,c,0.0,0.0,180.0", "3,d,0.0,0.0,",
    ]  # fmt: skip
    np.testing.assert_array_equal(load_index(tmp_path / "i.csv").heading, HEADINGS)
    assert list_directions(DATABASE, None) == [0.0, 90.0, 180.0, None]


def test_a_users_table_may_have_negative_headings_and_a_compass_is_not_taken_for_one(
    tmp_path: Path,
) -> None:
    for side in ("database", "query"):
        (tmp_path / f"{side}.csv").write_text(
            "path,easting,northing,heading,magnetic_heading,time\n"
            "a.jpg,1,2,-90,5,2026\nb.jpg,1,2,360,5,2026\nc.jpg,1,2,,5,2026\n"
        )
    truth = parse_set(tmp_path, None)
    np.testing.assert_array_equal(truth.query.heading, [270, 0, UNKNOWN])
    assert truth.notes == tuple(
        f"{side}.csv: magnetic_heading not used" for side in ("database", "query")
    )
    (tmp_path / "query.csv").write_text("path,easting,northing,heading\na.jpg,1,2,999\n")
    with pytest.raises(ValueError, match=r"query\.csv: row 0, column heading: .* found '999'"):
        parse_set(tmp_path, None)


def test_field_9_of_a_name_is_the_heading(tmp_path: Path) -> None:
    fields = ["389000.5", "5818000.2", "33", "U", "", "", "pano", "2", "{}", *[""] * 4, "n"]
    for side, headings in (("database", ("123.5", "", "-10")), ("queries", ("F", "12", "0"))):
        (tmp_path / side).mkdir()
        for number, heading in enumerate(headings):
            name = "@".join(["", *fields, f"{number}.jpg"]).format(heading)
            (tmp_path / side / name).touch()
    truth = parse_set(tmp_path, None)
    found = truth.database.heading, truth.query.heading
    assert found[0] is not None and found[1] is not None
    assert sorted(found[0].tolist())[:2] == [123.5, 350.0]
    np.testing.assert_array_equal(np.sort(found[1]), [0, 12, UNKNOWN])
    assert "field 9 of 1 names is not a heading" in " ".join(truth.notes)


def test_positives_without_a_limit_are_the_same_object() -> None:
    positives = find_positives(DATABASE.coordinates, QUERY.coordinates, radius_m=1)
    assert keep_same_way(positives, HEADINGS[:3], HEADINGS, max_deg=None) is positives
