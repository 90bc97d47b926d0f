"""transformers: SuperPoint with SuperGlue or LightGlue from stored points, and EfficientLoFTR."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.support.pictures import drawn_views, texture
from tests.support.repositories import require
from tests.support.transformers_model import SIZE, write_loftr, write_model
from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.efficient_loftr import match_cells, refine_matches
from vpr.matchers.base.matcher import Folders, Matcher, Rules, load_matcher
from vpr.reranking.pairs import verify_pair

RULES = Rules(None, "homography", 3.0)
KINDS = ("superglue", "lightglue")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is there, and reaches no network."""
    require(find_spec("transformers"), "pip install -r requirements-transformers.txt")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def load(folder: Path) -> Matcher:
    matcher = load_matcher("transformers", folder.name, Folders(weights=folder.parent))
    assert matcher is not None
    return matcher


@pytest.mark.parametrize("most", [60, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_stored_points_are_matched_as_the_library_matches_two_photos(
    tmp_path: Path, kind: str, most: int, capsys: pytest.CaptureFixture[str]
) -> None:
    network, processor = write_model(tmp_path / kind, kind)
    matcher: Any = load(tmp_path / kind)
    assert "non-commercial research only" in capsys.readouterr().err
    views = drawn_views()[0], drawn_views()[1][:120, :150]
    images = [matcher.detect(view, max_keypoints=most) for view in views]
    found = matcher.match(*images, RULES)

    network.keypoint_detector.keypoint_decoder.max_keypoints = most
    photos = processor([view.copy() for view in views], do_grayscale=True, return_tensors="pt")
    with torch.inference_mode():
        expected = network(**photos)
    counts = [min(most, int(mask.sum())) for mask in expected.mask[0]]
    assert [len(image.points) for image in images] == counts
    assert (counts[0] != counts[1]) == (most == 400)  # one is padded
    partners = expected.matches[0, 0].numpy()
    rows = np.flatnonzero(partners >= 0)
    size = np.array([SIZE["width"], SIZE["height"]])  # in whose pixels points are whole numbers
    places = [
        np.rint(expected.keypoints[0, side][index].numpy() * size)
        for side, index in enumerate((rows, partners[rows]))
    ]
    matched = [
        np.rint(image.points[found[:, side]] / view.shape[1::-1] * size)
        for side, (image, view) in enumerate(zip(images, views, strict=True))
    ]
    assert len(found) > 5
    assert sorted(np.hstack(matched).tolist()) == sorted(np.hstack(places).tolist())
    scores = images[0].descriptors[:, -1]
    assert (np.diff(scores) <= 0).all()  # the strongest first
    inliers, num_matches = matcher.verify(*images, RULES)
    assert num_matches == len(found) and len(inliers) <= num_matches


@pytest.mark.parametrize("kind", KINDS)
def test_a_blank_photo_has_neither_points_nor_matches(tmp_path: Path, kind: str) -> None:
    write_model(tmp_path / "m", kind)
    matcher = load(tmp_path / "m")
    view = detect_points(matcher, drawn_views()[0], max_keypoints=50)
    blank = detect_points(matcher, np.zeros((3, 40, 3), np.uint8), max_keypoints=50)
    assert blank.descriptors.shape == (0, view.descriptors.shape[1])
    for pair in ((blank, view), (view, blank)):
        assert matcher.verify(*pair, RULES).inliers.shape == (0, 2)
    with pytest.raises(ValueError, match=r"inliers\.ratio = 0\.8: (SuperGlue|LightGlue) has no"):
        matcher.verify(view, view, RULES._replace(ratio=0.8))


def test_efficient_loftr_finds_the_halves_of_a_photo_that_were_swapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = np.ascontiguousarray(texture(2)[:192, :256])
    swapped = np.roll(photo, 128, axis=1)
    model, processor = write_loftr(tmp_path / "loftr", [photo, swapped])
    matcher: Any = load(tmp_path / "loftr")
    assert "EfficientLoFTR's weights, as published by" in capsys.readouterr().err
    first, second = matcher.match(photo, swapped)
    assert len(first) > 150
    assert np.mean(np.abs(np.abs(second - first) - [128, 0]).max(axis=1) < 1.5) > 0.95

    larger = np.asarray(Image.fromarray(swapped).resize((512, 384), Image.Resampling.BILINEAR))
    first, second = matcher.match(photo, larger)
    assert len(first) > 50
    halved = (second + 0.5) / 2 - 0.5
    assert np.mean(np.abs(np.abs(halved - first) - [128, 0]).max(axis=1) < 1.5) > 0.9

    # Once the library's own lists are right, matching here can go.
    with torch.inference_mode():
        found = model(**processor([photo, swapped], return_tensors="pt"))
    (listed,) = processor.post_process_keypoint_matching(found, [[(192, 256), (192, 256)]])
    moved = (listed["keypoints1"] - listed["keypoints0"]).abs() - torch.tensor([128, 0])
    assert (moved.abs().amax(dim=1) < 3).float().mean() < 0.1


def test_efficient_loftr_through_the_same_seam_as_foreign_code(tmp_path: Path) -> None:
    photo = np.ascontiguousarray(texture(2)[:192, :256])
    views = [photo, np.roll(photo, 128, axis=1)]
    write_loftr(tmp_path / "loftr", views)
    matcher = load(tmp_path / "loftr")
    seen = [
        replace(detect_points(matcher, view, max_keypoints=9), read=partial(np.asarray, view))
        for view in views
    ]
    pair = verify_pair(matcher, RULES, *seen)
    assert pair.num_matches > 150
    blank = replace(seen[0], read=partial(np.zeros, (192, 256, 3), np.uint8))
    assert verify_pair(matcher, RULES, blank, seen[1]).num_matches == 0
    with pytest.raises(ValueError, match=r"inliers\.ratio = 0\.8: EfficientLoFTR has no"):
        verify_pair(matcher, RULES._replace(ratio=0.8), *seen)


def test_cells_match_by_the_product_of_both_softmaxes_off_the_border() -> None:
    maps = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    found = match_cells(maps, threshold=0.05, temperature=0.3, border=1, softmax=True)
    cells = [(row, column) for row in range(5) for column in range(6)]
    likeness = {
        (a, b): math.exp(float(maps[0][:, *a] @ maps[1][:, *b]) / 3 / 0.3)
        for a in cells for b in cells
    }  # fmt: skip
    confidence = {
        (a, b): value**2 / sum(likeness[a, o] for o in cells) / sum(likeness[o, b] for o in cells)
        for (a, b), value in likeness.items()
    }
    inner = [(row, column) for row, column in cells if row in (1, 2, 3) and 0 < column < 5]
    expected = [
        (cells.index(a), cells.index(b)) for a in inner for b in inner
        if confidence[a, b] > 0.05
        and confidence[a, b] == max(confidence[a, o] for o in cells)
        and confidence[a, b] == max(confidence[o, b] for o in cells)
    ]  # fmt: skip
    assert 0 < len(expected) < len(inner)
    assert list(zip(*(numbers.tolist() for numbers in found), strict=True)) == expected


def test_matched_cells_are_refined_as_the_paper_says() -> None:
    made = torch.Generator().manual_seed(0)
    first, second = torch.randn(7, 16, 6, generator=made), torch.randn(7, 36, 6, generator=made)
    points = refine_matches(first, second, num_exact=2, temperature=0.5)
    for match in range(7):
        likeness = first[match, :, :4] @ second[match, :, :4].T / 6  # (16, 36)
        confidence = likeness.softmax(0) * likeness.softmax(1)
        best = max(
            (float(confidence[place, (row + 1) * 6 + column + 1]), place, row, column)
            for place in range(16) for row in range(4) for column in range(4)
        )  # fmt: skip
        _, place, row, column = best
        shares = {
            (dy, dx): math.exp(
                float(
                    first[match, place, 4:]
                    @ second[match].unflatten(0, (6, 6))[row + dy, column + dx, 4:]
                )
                / 2**0.5 / 0.5
            )
            for dy in (-1, 0, 1) for dx in (-1, 0, 1)
        }  # fmt: skip
        whole = sum(shares.values())
        step = [sum(by[axis] * share for by, share in shares.items()) / whole for axis in (1, 0)]
        assert points[0][match].tolist() == [place % 4 - 1.5, place // 4 - 1.5]
        expected = [column - 1.5 + step[0], row - 1.5 + step[1]]
        assert points[1][match].tolist() == pytest.approx(expected, abs=1e-5)


def test_weights_that_lack_a_tensor_are_refused_by_its_name(tmp_path: Path) -> None:
    write_model(tmp_path / "m", "superglue")
    file = tmp_path / "m" / "model.safetensors"
    tensors = load_file(file)
    del tensors["bin_score"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"rerank\.model = m: the weights do not fit: .*bin_score"):
        load(tmp_path / "m")


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    import transformers

    transformers.ViTConfig().save_pretrained(tmp_path / "vit")
    with pytest.raises(ValueError, match=r"with superglue or lightglue, or efficientloftr, found"):
        load(tmp_path / "vit")


def test_a_model_that_is_nowhere_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"rerank\.model = m: expected a folder of models/matchers"):
        load(tmp_path / "m")
    with pytest.raises(ValueError, match=r"rerank\.model = null: rerank\.method = transformers ne"):
        load_matcher("transformers")


def test_without_the_package_one_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(OSError, match=r"`pip install -r requirements-transformers\.txt`"):
        load(tmp_path / "m")
