"""A map without a run: the same descriptors as a run's, places and headings, and it reads back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vpr
from vpr.commands.locate.outputs import as_json, as_text, save_csv, save_geojson
from vpr.locating.map import Map
from vpr.network.describing import describe_photos
from vpr.places.crs import latitude_longitude

RNG = np.random.default_rng(0)
NUM_PHOTOS = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy photos along a street, named by their places, of which the last has no heading."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(NUM_PHOTOS):
        heading = "" if number == NUM_PHOTOS - 1 else 10 * number
        fields = [
            389_000.5 + 10 * number,
            5_818_000.25,
            33,
            "U",
            "",
            "",
            "",
            "",
            heading,
            *[""] * 5,
        ]
        blocks = RNG.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        pixels = np.kron(blocks, np.ones((12, 12, 1), dtype=np.uint8))
        Image.fromarray(pixels).save(folder / f"@{'@'.join(map(str, fields))}@.png")
    return folder


@pytest.fixture(scope="module")
def street(photos: Path) -> Map:
    """The map of the photos."""
    found = vpr.Map.build(photos, photos.parent / f"{photos.name}.map")
    assert isinstance(found, Map)
    return found


def test_a_photo_of_the_map_is_found_where_it_was_taken(photos: Path, street: Map) -> None:
    files = sorted(photos.iterdir())
    answer = street.locate(files[2], top=50)
    assert len(answer.matches) == NUM_PHOTOS
    first = answer.matches[0]
    assert (first.database, first.distance) == (
        f"photos/{files[2].name}",
        pytest.approx(0, abs=1e-3),
    )
    assert (first.easting, first.northing, first.heading) == (389_020.5, 5_818_000.25, 20)
    expected = latitude_longitude(np.array([[389_020.5, 5_818_000.25]]), "EPSG:32633")[0]
    assert (first.latitude, first.longitude) == tuple(expected.round(7))
    assert {match.heading for match in answer.matches} == {0, 10, 20, 30, 40, None}


def test_photos_are_verified_and_those_of_elsewhere_are_unknown(
    photos: Path, street: Map, tmp_path: Path
) -> None:
    files = sorted(photos.iterdir())
    blocks = np.random.default_rng(1).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    elsewhere = tmp_path / "elsewhere.png"
    Image.fromarray(np.kron(blocks, np.ones((12, 12, 1), dtype=np.uint8))).save(elsewhere)
    own, other = street.locate_all([files[2], elsewhere])
    assert (own.state, other.state) == ("unsure", "unknown")  # no queries tell what is known
    assert own.probability is None and other.position is None
    assert own.position is not None and own.position.uncertainty_m is None
    assert own.position.easting == pytest.approx(389_020.5, abs=1)
    assert (own.matches[0].inliers or 0) > 50 > (other.matches[0].inliers or 0)
    assert as_text(own).splitlines()[0].endswith("389020.5 E 5818000.2 N")


def test_a_known_heading_is_in_every_output_and_an_unknown_one_in_none(
    photos: Path, street: Map, tmp_path: Path
) -> None:
    answer = street.locate(sorted(photos.iterdir())[3], top=NUM_PHOTOS)
    unknown = next(row for row, match in enumerate(answer.matches) if match.heading is None)
    lines = as_text(answer).splitlines()[1:]
    assert "looks 30°" in lines[0] and "looks" not in lines[unknown]
    matches = json.loads(as_json([answer]))[0]["matches"]
    assert matches[0]["heading"] == 30 and "heading" not in matches[unknown]
    save_csv(tmp_path / "a.csv", [answer])
    assert pd.read_csv(tmp_path / "a.csv")["heading"].isna().sum() == 1
    save_geojson(tmp_path / "a.json", [answer])
    points = json.loads((tmp_path / "a.json").read_text())["features"]
    assert points[0]["properties"]["heading"] == 30


def test_its_descriptors_are_those_of_the_network_photo_by_photo(photos: Path, street: Map) -> None:
    for number, file in enumerate(sorted(photos.iterdir())):
        (alone,) = describe_photos(street.ranker.network, [file])
        np.testing.assert_allclose(alone.descriptors[0], street.ranker.database[number], atol=1e-5)


def test_a_map_reads_back_and_what_is_none_is_named(photos: Path, street: Map) -> None:
    again = vpr.Map.load(photos.parent / f"{photos.name}.map")
    file = sorted(photos.iterdir())[4]
    assert again.locate(file) == street.locate(file)
    with pytest.raises(ValueError, match=r"photos\d*: is not a map: it has no map\.json"):
        vpr.Map.load(photos)
    with pytest.raises(AttributeError, match="no attribute 'Mapp'"):
        vpr.Mapp  # noqa: B018
