"""A set in tar shards runs through the pipeline as the same set in files, and stays in shards."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.repositories import change, run, stages_run
from vpr.features.local_features import load_features

pytestmark = pytest.mark.long


def outs_of(folder: Path) -> dict[str, Any]:
    """Hash of each out, but of the images themselves and small pictures of them."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {
        out["path"]: out["md5"]
        for stage in stages.values()
        for out in stage["outs"]
        if not out["path"].startswith(("data/images/", "data/thumbnails/"))
    }


def pages_of(folder: Path) -> dict[Path, bytes]:
    """The report, but for its parameters, which name the set's folder."""
    report = folder / "metrics/report"
    files = (path for path in report.rglob("*") if path.is_file())
    parameters = re.compile(rb'<section aria-labelledby="params">.*?</section>', re.DOTALL)
    return {
        path.relative_to(report): parameters.sub(b"", path.read_bytes(), count=1) for path in files
    }


def test_a_set_in_shards_gives_every_out_of_the_same_set_in_files(pipeline: Path) -> None:
    expected, pages = outs_of(pipeline), pages_of(pipeline)
    packed = pipeline / "data/packed"
    packed.mkdir()
    shutil.copy(pipeline / "data/sample/sample.mat", packed)
    for side in ("database", "queries"):
        with tarfile.open(packed / f"{side}.tar", "w") as archive:
            archive.add(pipeline / "data/sample" / side, side)
    change(pipeline, "dir: data/sample", "dir: data/packed")
    words = run(pipeline, "dvc", "repro")
    assert {"prepare", "trunk@database", "trunk@query"} <= stages_run(words)
    for side in ("database", "query"):
        for kind in ("images", "thumbnails"):
            folder = pipeline / "data" / kind / side
            assert [one.name for one in folder.iterdir()] == ["000000.tar"]
    found = outs_of(pipeline)
    assert found.pop("metrics/report") != expected.pop("metrics/report")
    assert found == expected
    assert pages_of(pipeline) == pages

    change(pipeline, "store: all", "store: 5")  # the rest is streamed from the shards
    words = run(pipeline, "dvc", "repro", "-s", "trunk@database", "extract_db")
    assert ", not stored" in words
    assert len(load_features(pipeline / "data/trunk/database").shapes) == 5
    name = "data/descriptors/database.npy"
    assert outs_of(pipeline)[name] == expected[name]

    photo = pipeline / "photo.jpg"
    shutil.copy(next((pipeline / "data/sample/queries").iterdir()), photo)
    words = run(
        pipeline, "python", "-m", "vpr", "locate", photo.name, "--json", "--show", "found.png",
        "--html", "found.html",
    )  # fmt: skip
    assert '"rank": 5' in words
    assert (pipeline / "found.png").stat().st_size and (pipeline / "found.html").stat().st_size
