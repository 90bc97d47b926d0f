"""Crops of 360-degree photos: what they show, and which way they look."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.importing.test_photos import GOOD, make_exif
from vpr.importing.collection import Asked, LeftOut
from vpr.importing.forms import photos
from vpr.importing.panoramas import draw_crop
from vpr.importing.splitting import split

WIDTH = 720  # two columns for a degree


@pytest.fixture(scope="module")
def directions() -> NDArray[np.uint8]:
    """A panorama whose red and green tell the direction as a circle, and blue the height."""
    longitude = np.radians((np.arange(WIDTH) + 0.5) / WIDTH * 360 - 180)
    latitude = np.radians(90 - (np.arange(WIDTH // 2) + 0.5) / WIDTH * 360)
    red, green = 127.5 + 120 * np.cos(longitude), 127.5 + 120 * np.sin(longitude)
    blue = 127.5 + 120 * np.sin(latitude)
    shape = (WIDTH // 2, WIDTH)
    channels = [np.broadcast_to(red, shape), np.broadcast_to(green, shape),
                np.broadcast_to(blue[:, None], shape)]  # fmt: skip
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def direction_of(pixel: NDArray[np.uint8]) -> tuple[float, float]:
    red, green, blue = (pixel.astype(float) - 127.5) / 120
    return np.degrees(np.arctan2(green, red)), np.degrees(np.arcsin(np.clip(blue, -1, 1)))


@pytest.mark.parametrize("yaw_deg", [0.0, 90.0, 135.0, 180.0, 270.0])
def test_a_crop_shows_what_lies_in_its_direction(
    directions: NDArray[np.uint8], yaw_deg: float
) -> None:
    """A plane one unit ahead: half a width to the right is 45 degrees, a quarter is atan(1/2)."""
    crop = draw_crop(directions, yaw_deg=yaw_deg)
    side = WIDTH // 4
    assert crop.shape == (side, side, 3)
    for right, up in ((0.0, 0.0), (0.5, 0.0), (-0.9, 0.0), (0.0, 0.5), (0.5, -0.5)):
        column, row = (round((1 + part) / 2 * side - 0.5) for part in (right, -up))
        right, up = (2 * column + 1) / side - 1, 1 - (2 * row + 1) / side
        longitude, latitude = direction_of(crop[row, column])
        expected = yaw_deg + np.degrees(np.arctan(right))
        assert (longitude - expected + 180) % 360 - 180 == pytest.approx(0, abs=1.5)
        assert latitude == pytest.approx(np.degrees(np.arctan2(up, np.hypot(1, right))), abs=1.5)


GPANO = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description GPano:ProjectionType="equirectangular" '
    'GPano:FullPanoWidthPixels="256" GPano:CroppedAreaImageWidthPixels="{}" {}/></x:xmpmeta>'
)


def write_panorama(path: Path, xmp: str) -> None:
    Image.new("RGB", (256, 128), "grey").save(
        path, exif=make_exif(GOOD | {16: "T", 17: 30.0}), xmp=xmp.encode()
    )


def test_a_panoramas_crops_have_its_place_and_their_headings(tmp_path: Path) -> None:
    write_panorama(tmp_path / "a.jpg", GPANO.format(256, 'GPano:PoseHeadingDegrees="350"'))
    shots = photos.read(tmp_path, Asked()).shots
    assert [shot.heading for shot in shots] == [350, 80, 170, 260]  # pose + yaw
    assert {shot.at for shot in shots} == {shots[0].at} and shots[0].at is not None
    assert len({shot.name for shot in shots}) == 4
    for shot in shots:
        assert not isinstance(shot.content, Path)
        assert Image.open(io.BytesIO(shot.content())).size == (64, 64)


@pytest.mark.parametrize(
    ("xmp", "crops", "headings"),
    [
        (GPANO.format(256, ""), 3, [30, 150, 270]),  # the middle looks where the EXIF data say
        (GPANO.format(256, ""), 0, [30]),
        (GPANO.format(200, ""), 4, [30]),  # only a part of a panorama
        ("", 4, [30]),  # of two to one, but no panorama
    ],
)
def test_only_whole_panoramas_are_cropped(
    tmp_path: Path, xmp: str, crops: int, headings: list[float]
) -> None:
    write_panorama(tmp_path / "a.jpg", xmp)
    shots = photos.read(tmp_path, Asked(crops=crops)).shots
    assert [shot.heading for shot in shots] == pytest.approx(headings)


def test_the_crops_of_a_panorama_stay_on_one_side(tmp_path: Path) -> None:
    for number in range(10):
        write_panorama(tmp_path / f"{number}.jpg", GPANO.format(256, ""))
    sides, _, _ = split(photos.read(tmp_path, Asked()).shots, LeftOut(), hours_east=0)
    files = [{shot.content.file for shot in side if not isinstance(shot.content, Path)}
             for side in (sides["database"], sides["query"])]  # fmt: skip
    assert len(files[1]) == 2 and not files[0] & files[1]
    assert (len(sides["database"]), len(sides["query"])) == (32, 8)
