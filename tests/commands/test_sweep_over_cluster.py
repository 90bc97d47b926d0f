"""A sweep's experiments run on nodes that have no checkout, and come back by the remotes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ray_clusters import RayCluster
from tests.support.repositories import run
from vpr.commands.sweep.over_cluster import run_over_cluster

SWEEP = (sys.executable, "-m", "vpr", "sweep", "--lr", "1e-4 1e-3", "--clusters", "4", "--ray")


@pytest.fixture
def cluster(pipeline: Path) -> Iterator[RayCluster]:
    """A cluster of one node, which does not see the repository."""
    started = RayCluster()
    try:
        started.add_node(os.cpu_count() or 1, hidden=[pipeline])
        yield started
    finally:
        started.end()


@pytest.mark.soak
def test_what_is_missing_of_a_grid_is_run_on_a_node_and_only_once(
    pipeline: Path, tmp_path: Path, cluster: RayCluster
) -> None:
    run(tmp_path, "git", "init", "-q", "--bare", "origin.git")
    run(pipeline, "git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    run(pipeline, "dvc", "remote", "modify", "storage", "url", str(tmp_path / "store"))
    run(pipeline, "git", "commit", "-qam", "The remote, where nodes find it")
    run(pipeline, "git", "push", "-q", "origin", "main")
    run(pipeline, "dvc", "push", "-q")
    first = cluster.run(pipeline, *SWEEP)
    assert first.count("$ dvc exp pull") == 1  # the commit itself is one cell
    second = cluster.run(pipeline, *SWEEP)
    assert "$ dvc exp pull" not in second
    rows = [line.split() for line in second.split("\n") if line.strip().startswith("0.00")]
    assert [row[0] for row in sorted(rows)] == ["0.0001", "0.001"]
    assert any(row[-1].endswith("-lr0.001-clusters4") for row in rows)
    (ours,) = [row for row in rows if row[-1] == "main"]
    recall = json.loads((pipeline / "metrics/recall.json").read_text())["recall@1"]
    assert ours[2] == f"{recall:.3f}"
    assert run(pipeline, "git", "status", "--porcelain") == ""


def test_without_a_cluster_a_sweep_over_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VPR_RAY_ADDRESS", raising=False)
    with pytest.raises(ValueError, match="RAY=1: set VPR_RAY_ADDRESS"):
        run_over_cluster([])
