"""A foreign matcher is verified as a native one of the same correspondences, and checked."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.foreign_matcher import write_foreign_matcher
from tests.support.pictures import drawn_views
from tests.support.repositories import ROOT
from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.matcher import Folders, LocalPoints, Matcher, Rules, load_matcher
from vpr.reranking.pairs import Pair, verify_pair
from vpr.runtime.external_code import ALLOW

RULES = Rules(None, "homography", 3.0)
Pixels = NDArray[np.uint8]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of foreign code, which is allowed to run."""
    monkeypatch.setenv(ALLOW, "1")
    return write_foreign_matcher(tmp_path)


def load(method: str, model: str | None = None, foreign: Path | None = None) -> Matcher:
    matcher = load_matcher(method, model, Folders(foreign=foreign))
    assert matcher is not None
    return matcher


def points_of(matcher: Matcher, pixels: Pixels) -> LocalPoints:
    found = detect_points(matcher, pixels, max_keypoints=1024)
    return LocalPoints(found.points, found.descriptors, found.size, partial(np.asarray, pixels))


def verify(matcher: Matcher, first: Pixels, second: Pixels) -> Pair:
    return verify_pair(matcher, RULES, *(points_of(matcher, view) for view in (first, second)))


@pytest.mark.parametrize(("entry", "native"), [("points(ratio=0.8)", "sift"), ("lines", "lines")])
def test_a_foreign_matcher_verifies_what_a_native_one_of_the_same_correspondences_does(
    folder: Path, entry: str, native: str, capsys: pytest.CaptureFixture[str]
) -> None:
    matcher = load("foreign", f"code:{entry}", folder)
    assert f"running foreign code: {folder}/code/hubconf.py" in capsys.readouterr().err
    for views in (drawn_views(), drawn_views()[::-1]):
        found, expected = verify(matcher, *views), verify(load(native), *views)
        assert len(expected.places) > 20
        np.testing.assert_array_equal(found.places, expected.places)
        assert found[1:] == expected[1:]
    again = pickle.loads(pickle.dumps(matcher))  # noqa: S301 - as it travels over a cluster
    np.testing.assert_array_equal(verify(again, *views).places, expected.places)


def test_points_are_not_stored_and_a_blank_photo_has_none(folder: Path) -> None:
    matcher = load("foreign", "code:points", folder)
    view, black = drawn_views()[0], np.zeros((40, 50, 3), np.uint8)
    assert points_of(matcher, view).points.shape == (0, 2)
    assert points_of(matcher, black).size == (40, 50)
    for pair in ((black, view), (view, black)):
        assert verify(matcher, *pair)[1:] == (0, 0)


def test_pairs_are_told_apart_by_their_photos(folder: Path) -> None:
    matcher = load("foreign", "code:points", folder)
    first = drawn_views()[0]
    other = np.flipud(first)
    keys = [points_of(matcher, photo).key for photo in (first, other, first.copy())]
    assert keys[0] == keys[2] != keys[1]


def test_detection_runs_no_foreign_code_and_matching_asks_for_leave(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ALLOW)
    detecting = load("foreign", "code:points")
    assert points_of(detecting, drawn_views()[0]).size == (152, 208)
    with pytest.raises(ValueError, match=rf"rerank\.model = code:points: this would run foreign code, {folder}/code/hubconf\.py.*{ALLOW}=1"):  # fmt: skip # noqa: E501
        load("foreign", "code:points", folder)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, r"rerank\.model = null: rerank\.method = foreign needs the name of a folder"),
        ("code", r"expected the name of a folder of models/foreign and a function"),
        ("other:points", r"there is no file .*/other/hubconf\.py"),
        ("{}/code/../code:points", r"DVC sees the edits of that folder alone"),
        ("../code:points", r"there is no file"),
        ("code:points(ratio=)", r"expected arguments such as"),
        ("code:absent", r"code/hubconf\.py: Cannot find callable absent"),
        ("code:nothing", r"expected an object with a method match, found str"),
    ],
)
def test_a_model_that_names_no_matcher_is_told(folder: Path, model: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load("foreign", model and model.format(folder), folder)


def test_a_matcher_that_takes_no_model_refuses_one() -> None:
    with pytest.raises(ValueError, match=r"rerank\.model = x: rerank\.method = sift takes no mod"):
        load("sift", "x")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("None", r"expected points, points and scores, found None"),
        ("([[1, 2]], [[1, 2], [3, 4]], [1])", r"found \(1, 2\) and \(2, 2\)"),
        ("([[1, 2, 3]], [[1, 2, 3]], [1])", r"found \(1, 3\) and \(1, 3\)"),
        ("([[1, float('nan')]], [[1, 2]], [1])", r"inside a photo of 208x152, found \(1, nan\)"),
        ("([[1, 2]], [[1, 161]], [1])", r"inside a photo of 224x160, found \(1, 161\)"),
        ("([[[1, 2], [-1, 5]]], [[[1, 2], [3, 4]]], [1])", r"found \(-1, 5\)"),
        ("1 / 0", r"division by zero \(ZeroDivisionError\)"),
        ("([['x', 2]], [[1, 2]], [1])", r"could not convert string to float"),
    ],
)
def test_a_result_that_is_not_what_it_should_be_names_the_folder_and_the_entry(
    folder: Path, result: str, words: str
) -> None:
    matcher = load("foreign", f"code:returns({result!r})", folder)
    with pytest.raises(ValueError, match=rf"(?s)rerank\.model = code:returns\(.*{words}"):
        verify(matcher, *drawn_views())


@pytest.mark.parametrize("none", ["np.empty((0, 2))", "np.empty((0, 2, 2))", "[]"])
def test_no_match_is_a_result(folder: Path, none: str) -> None:
    none = f"({none}, {none}, [])"
    found = verify(load("foreign", f"code:returns({none!r})", folder), *drawn_views())
    assert found.places.shape == (0, 2, 2) and found.num_matches == 0


def test_a_ratio_is_refused(folder: Path) -> None:
    matcher = load("foreign", "code:points", folder)
    rules = RULES._replace(ratio=0.8)
    with pytest.raises(ValueError, match=r"inliers\.ratio = 0\.8: rerank\.model = code:points has"):
        verify_pair(matcher, rules, *(points_of(matcher, view) for view in drawn_views()))


def test_the_documented_matchers_run_as_they_are_shown(folder: Path) -> None:
    page = (ROOT / "docs/reranking.md").read_text()
    (folder / "mine").mkdir()
    code = page.split("```python\n")[1].split("```")[0]
    (folder / "mine/hubconf.py").write_text(code)
    verify(load("foreign", "mine:points(weights=None)", folder), *drawn_views())
    view = drawn_views()[0]
    lines = verify(load("foreign", "mine:lines", folder), view, view)
    assert lines.num_matches == len(lines.places) > 20  # both ends of each line of the same photo
