"""A set in tar shards runs through the pipeline as the same set in files, and stays in shards."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import yaml

from tests.support.repositories import change, run, stages_run


def outs_of(folder: Path) -> dict[str, Any]:
    """Hash of each out, but of the images themselves."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {
        out["path"]: out["md5"]
        for stage in stages.values()
        for out in stage["outs"]
        if not out["path"].startswith("data/images/")
    }


def test_a_set_in_shards_gives_every_out_of_the_same_set_in_files(pipeline: Path) -> None:
    expected = outs_of(pipeline)
    packed = pipeline / "data/packed"
    packed.mkdir()
    shutil.copy(pipeline / "data/sample/sample.mat", packed)
    for side in ("database", "queries"):
        with tarfile.open(packed / f"{side}.tar", "w") as archive:
            archive.add(pipeline / "data/sample" / side, side)
    change(pipeline, "dir: data/sample", "dir: data/packed")
    words = run(pipeline, "dvc", "repro")
    assert {"prepare", "thumbnails", "trunk_db", "trunk_query"} <= stages_run(words)
    for side in ("database", "query"):
        assert [one.name for one in (pipeline / "data/images" / side).iterdir()] == ["000000.tar"]
    found = outs_of(pipeline)
    shown = {name for name in expected if found[name] != expected[name]}
    assert shown <= {"metrics/report"}  # which shows the parameters, dataset.dir with them
    assert found.keys() == expected.keys()

    change(pipeline, "store: all", "store: 5")  # the rest is streamed from the shards
    run(pipeline, "dvc", "repro", "-s", "trunk_db", "extract_db")
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
