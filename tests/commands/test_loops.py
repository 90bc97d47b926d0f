"""Where a drive comes back to where it was: real photos, descriptors and geometry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.commands.loops import as_g2o, loops
from vpr.locating.drives import DrivePhoto
from vpr.locating.loops import Loop, find_limit, find_loops
from vpr.locating.run import load_ranker
from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.run_files import KEYPOINTS
from vpr.runtime.parameters import load_params


@pytest.fixture
def drive(finished_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Photos of six walls, and of the first three once more, from a little to the left."""
    monkeypatch.chdir(finished_pipeline)
    noise = np.random.default_rng(0).integers(0, 256, (6, 30, 44, 3), dtype=np.uint8)
    files = []
    for number, wall in enumerate((0, 1, 2, 3, 4, 5, 0, 1, 2)):
        picture = Image.fromarray(noise[wall]).resize((352, 240), Image.Resampling.BICUBIC)
        left = 0 if number == wall else 9
        files.append(tmp_path / f"{number}.png")
        picture.crop((left, 0, left + 320, 240)).save(files[-1])
    return files


def test_a_loop_is_closed_where_the_drive_was_before(drive: list[Path]) -> None:
    ranker = load_ranker(Path())
    matcher = load_matcher("sift")
    assert matcher is not None
    keypoints = load_params("keypoints", KeypointsParams)
    ranker = replace(
        ranker,
        reranker=Reranker(
            matcher, load_keypoints(KEYPOINTS), keypoints,
            load_params("inliers", InliersParams), load_params("rerank", RerankParams),
        ),
    )  # fmt: skip
    limit = find_limit(None, top=3)
    found = list(find_loops(ranker, drive, apart=2, top=3, limit=limit))
    assert [loop.earlier for loop in found[6:] if loop] == [0, 1, 2]
    assert all(loop.inliers > 20 for loop in found[6:] if loop)
    recent = list(find_loops(ranker, drive, apart=7, top=3, limit=limit))
    assert recent[6] is None  # the only photo of its place is among those left out
    assert [loop is None or loop.earlier < loop.photo - 7 for loop in recent] == [True] * 9


def test_a_run_without_geometry_closes_no_loops(drive: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"verifies nothing \(rerank.method = none\)"):
        loops(drive[0].parent)


def test_edges_as_g2o_reads_them() -> None:
    photos = [DrivePhoto("a.jpg", Path(), None), DrivePhoto("b\n.jpg", Path(), None)]
    text = as_g2o([Loop(1, 0, 0.9, 40, -80.0)], photos, radius_m=10.0)
    comment, edge = text.splitlines()
    assert comment == "# 'a.jpg' 'b\\n.jpg' inliers 40 log10_nfa -80.0"
    words = edge.split()
    assert words[:6] == ["EDGE_SE2", "0", "1", "0", "0", "0"]
    assert [float(word) for word in words[6:]] == pytest.approx(
        [0.01, 0, 0, 0.01, 0, 3.64756], 1e-5
    )
