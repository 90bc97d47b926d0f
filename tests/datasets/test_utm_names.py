"""Sets with positions in their file names: which files count, in which order, in which zone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.datasets.export import export_set
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.index import ImageIndex


def place(root: Path, side: str, number: int, *, zone: str = "@", suffix: str = ".jpg") -> Path:
    """An empty file named by a place on a line; zone is number@letter."""
    file = root / side / f"@{389_000 + 10 * number}@5818000@{zone}@@@@@@@@@@{number}@{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


def test_paths_are_sorted_as_texts_and_not_folder_by_folder(tmp_path: Path) -> None:
    # As `sorted(glob(..., recursive=True))` of the public benchmark orders them.
    names = [f"{city}/{n}" for city in ("seoul", "seoul-gangnam", "seoul.old") for n in range(4)]
    for name in reversed(names):
        city, number = name.split("/")
        place(tmp_path, f"database/{city}", int(number))
    place(tmp_path, "queries", 0)
    found = parse_set(tmp_path, None).database.paths
    assert found == sorted(found)
    assert [name.split("/")[1] for name in found[::4]] == ["seoul-gangnam", "seoul.old", "seoul"]


@pytest.mark.parametrize("suffix", [".tiff", ".jfif", ".TIF", ".JPE", ".pgm", ".avif", ".HEIC"])
def test_an_image_of_another_ending_does_not_vanish(tmp_path: Path, suffix: str) -> None:
    for number in range(6):
        place(tmp_path, "database", number, suffix=suffix if number % 2 else ".jpg")
    place(tmp_path, "queries", 0)
    truth = parse_set(tmp_path, None)
    assert len(truth.database.paths) == 6
    assert truth.notes == ()


def test_what_is_no_image_is_counted_and_named_and_what_systems_add_is_not(tmp_path: Path) -> None:
    for side in ("database", "queries"):
        place(tmp_path, side, 0)
    for name in ("@1@2@.txt", "@1@2@.json", "more/list.txt", "preview.gif"):
        (tmp_path / "database" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "database" / name).touch()
    for name in (".DS_Store", "._@1@2@.jpg", "@eaDir/@1@2@.jpg", "Thumbs.db", "__MACOSX/a.jpg"):
        (tmp_path / "queries" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "queries" / name).touch()
    truth = parse_set(tmp_path, None)
    assert (len(truth.database.paths), len(truth.query.paths)) == (1, 1)
    (note,) = truth.notes
    assert note.startswith(f"{tmp_path / 'database'}: left out 4 files: 2 .txt ('@1@2@.txt'), ")
    assert "1 .gif ('preview.gif')" in note and "only JPEG, PNG" in note


@pytest.mark.parametrize("name", ["notes.txt", "@eaDir/@1@2@.jpg"])
def test_a_folder_without_a_place_is_in_no_form(tmp_path: Path, name: str) -> None:
    (tmp_path / "database" / name).parent.mkdir(parents=True)
    (tmp_path / "database" / name).touch()
    with pytest.raises(ValueError, match="found none"):
        parse_set(tmp_path, None)


@pytest.mark.parametrize(
    ("database", "query", "zone"),  # northing 5,818,000 is 52.5 degrees north, or 37.8 south
    [(("33@U",) * 2, "33@U", "33N"), (("33@U", "33@u"), "33@U", "33N"), (("@", "@"), "@", None),
     (("23@H",) * 2, "23@H", "23S"), (("033@U",) * 2, "33@U", "33N"), (("33@U", "@"), "@", "33N")],
)  # fmt: skip
def test_one_utm_zone_is_taken_from_the_names(
    tmp_path: Path, database: tuple[str, str], query: str, zone: str | None
) -> None:
    for number, of in enumerate(database):
        place(tmp_path, "database", number, zone=of)
    place(tmp_path, "queries", 0, zone=query)
    truth = parse_set(tmp_path, None)
    assert truth.utm_zones == ((zone,) if zone else ()) and truth.notes == ()


# T is 40 to 48 degrees north; S is 32 to 40, or meant as the southern hemisphere.
@pytest.mark.parametrize("zone", ["33@T", "33@S", "33@I", "61@U", "7@", "@U"])
def test_a_zone_that_contradicts_the_place_is_noted_and_not_taken(
    tmp_path: Path, zone: str
) -> None:
    for number in range(3):
        place(tmp_path, "database", number, zone="33@U@52.50@13.37")
    place(tmp_path, "queries", 0, zone=zone)
    truth = parse_set(tmp_path, None)
    assert truth.utm_zones == ()
    (note,) = truth.notes
    assert f"(first 'queries/@389000@5818000@{zone}@" in note


def test_cities_in_zones_far_apart_are_one_set_without_a_map(tmp_path: Path) -> None:
    # Copenhagen and San Francisco, as the downloader's MSLS has them.
    for side in ("database", "queries"):
        for name in (
            "@347000.1@6173000.2@33@U@55.68@12.57",
            "@551000.1@4181000.2@10@S@37.77@-122.42",
        ):
            (tmp_path / side).mkdir(exist_ok=True)
            (tmp_path / side / f"{name}@key@@@@@@day_forward@.jpg").touch()
    truth = parse_set(tmp_path, None)
    assert truth.utm_zones == ("10N", "33N")
    (note,) = truth.notes
    assert "2 UTM zones (10N: database/@551000.1@" in note and "there is no map" in note


@pytest.mark.parametrize(
    ("database", "query"),
    [(("33@U",) * 2, "52@S"), (("32@U", "33@U"), "33@U"), (("23@K", "23@N"), "23@N")],
)
def test_names_of_several_zones_are_refused(
    tmp_path: Path, database: tuple[str, str], query: str
) -> None:
    for number, of in enumerate(database):
        place(tmp_path, "database", number, zone=of)
    place(tmp_path, "queries", 0, zone=query)
    with pytest.raises(ValueError, match=r"the names are in 2 UTM zones \(\d\d[NS]: database/.*@"):
        parse_set(tmp_path, None)


@pytest.mark.parametrize("suffix", [".jfif", ".JPEG", ".photo", ""])
def test_an_export_is_read_back_whole_whatever_the_endings(tmp_path: Path, suffix: str) -> None:
    names = [f"a{suffix}", "b.png"]
    places = np.array([[389_000.0, 5_818_000.0], [389_010.0, 5_818_000.0]])
    (tmp_path / "source").mkdir()
    for name, form in zip(names, ("JPEG", "PNG"), strict=True):
        Image.new("RGB", (8, 6)).save(tmp_path / "source" / name, form)
    side = ImageIndex(names, places)
    truth = GroundTruth(side, side, None, "by hand")
    export_set(truth, tmp_path / "source", tmp_path / "set", to="utm-names", radius_m=25)
    again = parse_set(tmp_path / "set", None)
    np.testing.assert_array_equal(again.database.coordinates, places)
    np.testing.assert_array_equal(again.query.coordinates, places)


def test_an_export_of_a_line_keeps_its_order_and_one_of_a_loop_says_that_it_cannot(
    tmp_path: Path,
) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    line = np.stack([np.arange(15.0) + 0.5 * (np.arange(15) == 3), np.zeros(15)], axis=1)
    angle = np.linspace(0, 6, 15)
    loop = 100 * np.stack([2 + np.cos(angle), 2 + np.sin(angle)], axis=1)
    for name, places in (("line", line), ("loop", loop), ("south", -line)):
        side = ImageIndex(["a.png"] * 15, places, ["drive"] * 15)
        truth = GroundTruth(side, side, None, "by hand")
        notes = export_set(truth, tmp_path, tmp_path / name, to="utm-names", radius_m=2)
        again = parse_set(tmp_path / name, None).query.coordinates
        assert sorted(again.tolist()) == sorted(places.tolist())
        is_kept = name != "loop"
        assert np.array_equal(again, places) == is_kept
        assert [note[:11] for note in notes] == ["NOTE order:"] * (not is_kept) + ["NOTE sequen"]
    assert export_set(truth, tmp_path, tmp_path / "csv", to="csv", radius_m=2) == []
