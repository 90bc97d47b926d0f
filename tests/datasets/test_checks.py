"""A set that cannot be right is refused, and what makes its results mean nothing is said aloud."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from numpy.typing import NDArray

from vpr.datasets.checks import check_places
from vpr.datasets.findings import Finding, Level, list_notes, require_usable
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.index import ImageIndex

STEPS = np.arange(12.0)
BERLIN = np.stack([389_000 + 10 * STEPS, 5_818_000 + STEPS], axis=1)  # EPSG:32633
DEGREES = np.stack([13.36123 + 1.5e-4 * STEPS, 52.50012 + 1e-5 * STEPS], axis=1)  # the same street
SEOUL = np.stack([127.01231 + 1e-4 * STEPS, 37.51231 + 0 * STEPS], axis=1)  # degrees, too
ROOM = np.stack([12.253123 + 0.3 * STEPS, 3.512312 + 0.1 * STEPS], axis=1)  # metres
FRAMES = np.stack([STEPS, 0 * STEPS], axis=1)


def listed(side: str, places: NDArray[np.float64]) -> ImageIndex:
    return ImageIndex([f"{side}/{number}.jpg" for number in range(len(places))], places)


def checked(
    database: NDArray[np.float64], query: NDArray[np.float64] | None = None, *,
    crs: str | None = "EPSG:32633", radius_m: float = 25, zone: str | None = None,
) -> dict[str, Finding]:  # fmt: skip
    asked = database[:6] if query is None else query
    truth = GroundTruth(listed("database", database), listed("query", asked), None, "by hand",
                        utm_zones=(zone,) if zone else ())  # fmt: skip
    return {one.key: one for one in check_places(truth, radius_m=radius_m, crs=crs)}


def test_a_street_in_metres_is_fine() -> None:
    found = checked(BERLIN)
    assert {one.level for one in found.values()} == {Level.FINE}
    assert "over 110 m x 11 m, WGS 84 / UTM zone 33N" in found["coordinates"].words
    assert found["positives"].words == "3 to 5 per query within 25 m"


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "+proj=utm +zone=33", "EPSG:25833"])
@pytest.mark.parametrize("places", [DEGREES, DEGREES[:, ::-1], SEOUL])
def test_degrees_with_a_system_of_metres_are_refused_in_either_order(
    crs: str, places: NDArray[np.float64]
) -> None:
    found = checked(places, crs=crs)["coordinates"]
    assert found.level is Level.REFUSED
    assert f"dataset.crs = {crs}" in found.words
    assert "look like degrees (the first of the database is [" in found.words


def test_coarse_degrees_and_those_of_one_side_alone_are_refused() -> None:
    coarse = np.stack([13.36 + 0.001 * STEPS, 52.5 + 0 * STEPS], axis=1)
    assert checked(coarse)["coordinates"].level is Level.REFUSED
    one_side = checked(BERLIN, DEGREES)
    assert "the query coordinates are not in its metres" in one_side["coordinates"].words
    assert one_side["coordinates"].level is Level.REFUSED
    across = np.stack([179.9995 + 1e-4 * STEPS, -17.5 - 1e-4 * STEPS], axis=1)
    across[across > 180] -= 360  # Fiji, over the date line
    assert checked(across, crs=None, radius_m=1000)["positives"].level is Level.REFUSED


def test_degrees_without_a_system_are_refused_as_all_are_positives() -> None:
    found = checked(SEOUL, crs=None)
    assert found["coordinates"].level is Level.LOUD
    assert found["positives"].level is Level.REFUSED
    assert "recall is 1 for any model" in found["positives"].words
    assert "look like degrees" in found["positives"].words


def test_a_radius_in_degrees_is_said_aloud_and_passes() -> None:
    found = checked(SEOUL, crs=None, radius_m=2e-4)
    assert {one.level for one in found.values()} == {Level.FINE, Level.LOUD}


@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_metres_in_a_room_pass(crs: str | None) -> None:
    found = checked(ROOM, crs=crs, radius_m=0.5)
    assert max(one.level for one in found.values()) is Level.LOUD
    rough = checked(ROOM.round(2), crs=None, radius_m=0.5)
    assert max(one.level for one in rough.values()) is Level.FINE


def test_every_image_a_positive_of_every_query_is_said_aloud() -> None:
    found = checked(BERLIN, radius_m=500)["positives"]
    assert found.level is Level.LOUD
    assert "every database image is a positive of every query within 500 m" in found.words


def test_no_positive_at_all_is_refused() -> None:
    found = checked(BERLIN, BERLIN + 1000)["positives"]
    assert found.level is Level.REFUSED
    assert "no query has a positive within 25 m, so recall would be 0" in found.words


def test_kilometres_are_refused_and_metres_along_a_line_are_not() -> None:
    found = checked(BERLIN / 1000)["coordinates"]
    assert found.level is Level.REFUSED and "look like kilometres" in found.words
    drive = np.stack([np.linspace(0, 1000.5, 12), 0 * STEPS], axis=1)
    assert checked(drive, radius_m=100)["coordinates"].level is Level.LOUD
    assert checked(drive, radius_m=100, crs=None)["coordinates"].level is Level.FINE


@pytest.mark.parametrize(
    ("crs", "places", "level", "words"),
    [
        # The Web Mercator scale is 1 / cos(latitude): 1.64 at Berlin, 1.015 at 10 degrees.
        ("EPSG:3857", (1_487_000, 6_890_000), Level.REFUSED, "off by 64% at the set's middle"),
        ("EPSG:3857", (1_487_000, 1_118_890), Level.LOUD, "its metres are off by 1."),
        ("EPSG:3857", (11_560_000, 150_000), Level.FINE, "Pseudo-Mercator"),  # Singapore
        ("EPSG:3035", (4_552_000, 3_272_000), Level.FINE, "LAEA Europe"),
        ("EPSG:5186", (200_000, 550_000), Level.FINE, "Central Belt"),
        ("EPSG:2193", (1_570_000, 5_180_000), Level.FINE, "New Zealand"),
        ("EPSG:32632", (797_000, 5_827_000), Level.NOTE, "would lie at longitude 13.38"),
        ("EPSG:32652", (389_000, 5_818_000), Level.FINE, "UTM zone 52N"),
    ],
)
def test_a_system_must_be_a_metre_scale_where_the_set_lies(
    crs: str, places: tuple[float, float], level: Level, words: str
) -> None:
    found = checked(np.array(places) + (BERLIN - BERLIN[0]), crs=crs)["coordinates"]
    assert found.level is level, found.words
    assert words in found.words


@pytest.mark.parametrize("count", [12, 1000, 7000])
def test_frame_numbers_with_a_system_are_told_to_need_none(count: int) -> None:
    frames = np.stack([np.arange(float(count)), np.zeros(count)], axis=1)
    found = checked(frames, radius_m=2)["coordinates"]
    assert found.level is Level.LOUD
    assert "latitude 0.00" in found.words and "set dataset.crs: null" in found.words
    assert checked(frames, radius_m=2, crs="EPSG:3857")["coordinates"].level is Level.LOUD
    assert checked(frames, radius_m=2, crs=None)["coordinates"].level is Level.FINE


def test_swapped_and_far_coordinates_are_refused_and_one_stray_photo_is_named() -> None:
    assert "easting and northing swapped?" in checked(BERLIN[:, ::-1])["coordinates"].words
    ecef = np.stack([3_780_000 + STEPS, 900_000 + STEPS], axis=1)
    assert checked(ecef)["coordinates"].level is Level.REFUSED
    stray = checked(np.concatenate([BERLIN, [[0, 0]]]))["coordinates"]
    assert stray.level is Level.NOTE
    assert "1 of 19 images lie far from all others, first 'database/12.jpg'" in stray.words


def test_a_zone_in_the_names_must_be_that_of_the_system() -> None:
    for crs in ("EPSG:32633", "EPSG:25833", None):
        assert checked(BERLIN, zone="33N", crs=crs)["coordinates"].level is Level.FINE
    for crs in ("EPSG:32632", "EPSG:32733", "EPSG:3857"):
        found = checked(BERLIN, zone="33N", crs=crs)["coordinates"]
        assert found.level is Level.REFUSED
        assert "file names give UTM zone 33N: set dataset.crs: EPSG:32633" in found.words


def test_zones_that_no_one_system_holds_want_none() -> None:
    truth = GroundTruth(listed("database", BERLIN), listed("query", BERLIN), None, "by hand",
                        utm_zones=("10N", "33N"))  # fmt: skip
    found = {one.key: one for one in check_places(truth, radius_m=25, crs="EPSG:32633")}
    assert "zone 10N and 33N: set dataset.crs: null" in found["coordinates"].words


def test_names_of_one_file_are_one_name_however_they_are_written() -> None:
    database = ImageIndex(["img/x.jpg", "길.jpg", "a/b.jpg", "c.jpg"], BERLIN[:4])
    asked = ImageIndex(["./img//x.jpg", normalize("NFD", "길.jpg"), "d/../a\\b.jpg"], BERLIN[:3])
    truth = GroundTruth(database, asked, None, "by hand")
    found = {one.key: one for one in check_places(truth, radius_m=25, crs=None)}["listing"]
    assert found.level is Level.LOUD and found.numbers["names_on_both_sides"] == 3
    twice = GroundTruth(ImageIndex(["x.jpg", "./x.jpg"], BERLIN[:2]), database, None, "by hand")
    (note,) = list_notes(check_places(twice, radius_m=25, crs=None))
    assert "1 names occur more than once on the database side ('x.jpg')" in note


def test_queries_without_a_positive_are_counted() -> None:
    asked = np.concatenate([BERLIN[:2], BERLIN[:1] + 1000])
    found = checked(BERLIN, asked, crs=None)["positives"]
    assert found.level is Level.NOTE
    assert found.numbers == {"queries": 3, "queries_without_positives": 1}
    assert "1 of 3 queries have none and count as failures" in found.words


def test_names_that_stand_twice_are_noted() -> None:
    twice = ImageIndex(["a.jpg", "b.jpg", "a.jpg"], BERLIN[:3])
    asked = ImageIndex(["q.jpg", "b.jpg"], BERLIN[:2])
    truth = GroundTruth(twice, asked, None, "by hand", notes=("3 files left out",))
    notes = list_notes(check_places(truth, radius_m=15, crs=None))
    assert len(notes) == 1
    assert notes[0].startswith("NOTE listing: 3 files left out; ")
    assert "1 names occur more than once on the database side ('a.jpg')" in notes[0]
    assert "1 names are on both sides ('b.jpg')" in notes[0]


def test_all_reasons_of_a_refusal_are_told_at_once() -> None:
    findings = [*checked(DEGREES).values(), *checked(BERLIN, BERLIN + 1000).values()]
    with pytest.raises(ValueError, match=r"look like degrees .*; no query has a positive"):
        require_usable(findings)


def test_a_large_set_in_degrees_is_refused_before_its_pairs_are_counted() -> None:
    many = np.random.default_rng(0).uniform((13.3, 52.4), (13.5, 52.6), (50_000, 2))
    for crs in ("EPSG:32633", None):  # all pairs would take 40 GB
        with pytest.raises(ValueError, match="they look like degrees"):
            require_usable([*checked(many, many, crs=crs).values()])


@pytest.mark.parametrize(
    ("name", "index", "crs", "radius_m"),
    [
        ("berlin", None, "EPSG:32633", 50), ("oxford", None, None, 45),
        ("nordland", None, None, 5), ("gardens_point", "day.mat", None, 2),
        ("gardens_point", "night.mat", None, 2), ("webcams_dev/day", None, None, 10),
        ("webcams_dev/night", None, None, 10),
    ],
)  # fmt: skip
def test_real_sets_pass_without_a_word(
    real_data: Path, name: str, index: str | None, crs: str | None, radius_m: float
) -> None:
    truth = parse_set(real_data / name, index)
    assert list_notes(check_places(truth, radius_m=radius_m, crs=crs)) == []
