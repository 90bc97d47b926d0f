"""Values that must fit another section are refused before a stage runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.repositories import ROOT, change, set_key
from vpr.sections import check_sections, require_sections


def test_depths_that_no_ranking_reaches_and_predictions_that_have_no_inliers_are_refused(
    tmp_path: Path,
) -> None:
    file = Path(shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml"))
    assert check_sections(file) == []
    set_key(tmp_path, "rerank.method", "none")
    (unsure,) = check_sections(file)
    assert "evaluate.accept_by = inliers: none are counted with rerank.method = none" in unsure
    set_key(tmp_path, "evaluate.accept_by", "distance")
    set_key(tmp_path, "rerank.top", "30")  # of no effect while rerank.method is none
    change(tmp_path, "    - 1\n    - 5\n    - 10\n    - 20\n", "    - 20\n    - 5\n")
    assert check_sections(file) == []
    set_key(tmp_path, "search.top_k", "4")
    set_key(tmp_path, "rerank.method", "sift")
    depths, top = check_sections(file)
    assert depths.endswith("evaluate.recall_at = [20, 5]: search.top_k = 4 reaches none of them")
    assert "rerank.top = 30: only the first inliers.top = 20 predictions" in top
    with pytest.raises(ValueError, match=r"rerank\.top = 30"):
        require_sections(file)
