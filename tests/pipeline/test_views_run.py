"""Views in a whole run: they cost no trunk, and training sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.repositories import change, run, stages_run


def test_another_view_runs_its_stage_and_training_alone_and_changes_what_is_trained(
    pipeline: Path,
) -> None:
    trunk = pipeline / "data/trunk"
    stored = (trunk / "database/features.npy").read_bytes()
    plain = (pipeline / "models/netvlad/model.pt").read_bytes()
    assert [file.name for file in (trunk / "views").iterdir()] == ["scales.json"]
    change(pipeline, "  scales: []", "  scales: [0.5]")
    ran = stages_run(run(pipeline, "dvc", "repro", "finetune"))
    assert ran == {"views", "finetune"}
    shapes = [np.load(trunk / part / "shapes.npy") for part in ("database", "views/0.5")]
    assert len(shapes[0]) == len(shapes[1])
    assert (shapes[1] < shapes[0]).all()
    assert (trunk / "database/features.npy").read_bytes() == stored
    assert (pipeline / "models/netvlad/model.pt").read_bytes() != plain
    change(pipeline, "  scales: [0.5]", "  scales: []")
    run(pipeline, "dvc", "repro", "finetune")
    assert (pipeline / "models/netvlad/model.pt").read_bytes() == plain
