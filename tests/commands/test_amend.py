"""Photos into the map and out of it by one command each: the run after it, and when it fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.repositories import run, set_key, stages_run

pytestmark = pytest.mark.long

RECORDED = ("data/street/database.csv", "dvc.lock", "metrics/recall.json", "metrics/queries.csv",
            "data/predictions.npz", "data/prepared/database.csv")  # fmt: skip


def test_photos_come_and_go_with_the_clusters_kept_and_nothing_is_lost_by_a_failure(
    pipeline: Path, tmp_path: Path
) -> None:
    vpr = ("python", "-m", "vpr")
    assert "the stage data/dvc.yaml:sample makes this set" in run(
        pipeline, *vpr, "add", str(tmp_path), code=1
    )
    run(pipeline, *vpr, "export", "data/street", "--to", "csv")
    kept = pipeline / "models/pretrained/street.pt"
    shutil.copyfile(pipeline / "models/netvlad/model.pt", kept)
    for key, value in {
        "dataset.dir": "data/street", "dataset.index": "database.csv", "prepare.radius_m": "25",
        "pretrained.weights": "street.pt", "finetune.epochs": "0",
    }.items():  # fmt: skip
        set_key(pipeline, key, value)
    table = pipeline / "data/street/query.csv"
    header, row, *_ = table.read_text().splitlines()
    (tmp_path / "new.csv").write_text(f"{header}\n{row}\n")
    shutil.copytree(pipeline / "data/street/queries", tmp_path / "queries")

    said = run(pipeline, *vpr, "add", str(tmp_path / "new.csv"))
    assert "recall before is not known: workspace: metrics are out of date" in said
    assert "1 photo added to the database, which has 13 now" in said
    assert "pool of 4 clusters (vladv1) from the weights" in said
    assert "trunk@query" not in stages_run(said)
    assert (pipeline / "models/netvlad/model.pt").read_bytes() == kept.read_bytes()

    mine = pipeline / "data/mine"
    mine.mkdir()
    (mine / "recorded.jpg").write_bytes(b"another one")
    run(pipeline, "dvc", "add", "-q", "data/mine")
    (mine / "not recorded.jpg").write_bytes(b"a photo")
    before = {name: (pipeline / name).read_bytes() for name in RECORDED}
    set_key(pipeline, "search.top_k", "13")
    said = run(pipeline, *vpr, "remove", "photos/*", code=1)
    assert "`dvc repro` failed" in said and "is as before, and so is the run" in said
    assert {name: (pipeline / name).read_bytes() for name in RECORDED} == before
    assert (mine / "not recorded.jpg").is_file()
    set_key(pipeline, "search.top_k", "5")

    said = run(pipeline, *vpr, "remove", "photos/*")
    assert "1 photo taken out of the database, which has 12 now" in said
    assert not {"pretrained", "trunk@query", "extract_query"} & stages_run(said)
    recall = next(line for line in said.splitlines() if line.startswith("recall@1 "))
    earlier, after, difference = map(float, recall.split()[1:4])
    assert "The same 8 queries:" in said and difference == after - earlier
    assert after == json.loads((pipeline / "metrics/recall.json").read_text())["recall@1"]
