"""SuperPoint with SuperGlue or LightGlue matches stored points as transformers matches photos."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.pictures import drawn_views
from tests.support.repositories import require
from tests.support.transformers_model import SIZE, write_model
from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.matcher import Folders, Matcher, Rules, load_matcher

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
    found = matcher.match(*images)

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

    transformers.EfficientLoFTRConfig().save_pretrained(tmp_path / "loftr")
    with pytest.raises(ValueError, match=r"EfficientLoFTR's matches in another order"):
        load(tmp_path / "loftr")
    transformers.ViTConfig().save_pretrained(tmp_path / "vit")
    with pytest.raises(ValueError, match=r"expected SuperPoint with superglue or lightglue, found"):
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
