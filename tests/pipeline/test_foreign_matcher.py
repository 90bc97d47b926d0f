"""Foreign matchers through the pipeline, locate and serve: as native ones, and DVC sees edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.foreign_matcher import write_foreign_matcher
from tests.support.repositories import run, set_key, stages_run
from tests.support.services import serving
from vpr.images.image_files import list_images, read_image
from vpr.matchers.base.detection import detect_points
from vpr.matchers.base.matcher import Rules, load_matcher
from vpr.reranking.pairs import Task, gather_pairs, verify_pair
from vpr.reranking.reranking import Stop
from vpr.reranking.verified_pairs import (
    FORMS,
    VerifiedPairs,
    concatenate_pairs,
    load_verified,
)
from vpr.retrieval.predictions import load_predictions
from vpr.runtime.external_code import ALLOW

pytestmark = pytest.mark.long

TOP = 3


def verify_natively(pipeline: Path, method: str) -> VerifiedPairs:
    """The first predictions of each query, verified by a matcher of the drawer."""
    matcher = load_matcher(method)
    assert matcher is not None
    rules = Rules(None, "homography", 2.0)
    database, query = (
        [
            detect_points(matcher, read_image(photo, scale_to=640), max_keypoints=1024)
            for photo in list_images(pipeline / "data/images" / side)
        ]
        for side in ("database", "query")
    )
    ranked = load_predictions(pipeline / "data/predictions.npz")
    found = []
    for own, images, far in zip(query, ranked.indices, ranked.distances, strict=True):
        task = Task(own, images[:TOP], far[:TOP], [database[image] for image in images[:TOP]])
        pairs = (verify_pair(matcher, rules, own, points) for points in task.points)
        found.append(gather_pairs(task, pairs, stop=Stop(None, 5.0)))
    return concatenate_pairs(found)


def assert_verified(pipeline: Path, expected: VerifiedPairs) -> None:
    found = load_verified(pipeline / "data/verified")
    assert expected.inliers.max() > 3
    for name in FORMS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_foreign_points_and_lines_are_as_native_ones_and_an_edit_matches_again_alone(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_foreign_matcher(pipeline / "models/foreign")
    set_key(pipeline, "rerank.method", "foreign")
    set_key(pipeline, "rerank.model", "code:points")
    set_key(pipeline, "rerank.half_inliers", "5.0")
    set_key(pipeline, "inliers.top", str(TOP))
    set_key(pipeline, "rerank.top", str(TOP))
    set_key(pipeline, "inliers.stop", "null")
    set_key(pipeline, "inliers.geometry", "homography")  # the photos are small
    words = run(pipeline, "dvc", "repro", "order", code=255)
    assert "this would run foreign code, models/foreign/code/hubconf.py" in words
    monkeypatch.setenv(ALLOW, "1")
    words = run(pipeline, "dvc", "repro", "order")
    assert "running foreign code: models/foreign/code/hubconf.py, points" in words
    assert stages_run(words) == {"inliers", "order"}  # keypoints needed no leave
    assert_verified(pipeline, verify_natively(pipeline, "sift"))

    before = load_verified(pipeline / "data/verified").matches.sum()
    code = pipeline / "models/foreign/code/hubconf.py"
    code.write_text(code.read_text().replace("ratio=0.8", "ratio=0.6"))
    assert stages_run(run(pipeline, "dvc", "repro", "order")) == {"inliers", "order"}
    assert load_verified(pipeline / "data/verified").matches.sum() < before

    set_key(pipeline, "rerank.model", "code:lines")
    assert "inliers" in stages_run(run(pipeline, "dvc", "repro", "evaluate"))
    assert_verified(pipeline, verify_natively(pipeline, "lines"))
    ranked, pairs = (
        load_predictions(pipeline / "data/reranked.npz"),
        load_verified(pipeline / "data/verified"),
    )
    photo = "data/sample/queries/0003.jpg"
    text = run(pipeline, "python", "-m", "vpr", "locate", photo, "--json")
    (by_command,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    with serving(pipeline, tmp_path / "log") as service:
        reply = service.post("/v1/locate?top=5", (pipeline / photo).read_bytes())
        assert reply.status == 200, reply.body
        (by_service,) = reply.content["located"]

    def evidence(located: dict[str, Any]) -> list[tuple[int, int | None]]:
        return [(match["image"], match.get("inliers")) for match in located["matches"]]

    expected = [
        (image, len(pairs.of(3, image)) if image in pairs.candidates[3] else None)
        for image in ranked.indices[3].tolist()
    ]
    assert evidence(by_command) == evidence(by_service) == expected
