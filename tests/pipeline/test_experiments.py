"""DVC's experiments drive this pipeline: in the workspace, queued, aside, and between clones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import run, stages_run

pytestmark = pytest.mark.long

QUEUED = {"evaluate.seed=1", "evaluate.seed=2"}


@pytest.fixture(scope="module")
def tried(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which one experiment ran in the workspace, two in a queue and one aside."""
    folder = tmp_path_factory.mktemp("experiments") / "ours"
    shutil.copytree(finished_pipeline, folder, symlinks=True)
    depth = run(folder, "dvc", "exp", "run", "evaluate", "-n", "depth", "-S", "search.top_k=1")
    assert stages_run(depth) == {"search", "inliers", "order", "foreign", "evaluate"}
    run(folder, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    run(folder, "dvc", "exp", "run", "--queue", "evaluate", "-S", "evaluate.seed=1,2")
    run(folder, "dvc", "exp", "run", "--run-all", "-j", "2")
    aside = ("--temp", "evaluate", "-n", "aside", "-S", "evaluate.num_samples=100")
    run(folder, "dvc", "exp", "run", *aside)
    assert run(folder, "git", "diff", "--stat", "params.yaml", "metrics") == ""
    return folder


def shown(folder: Path) -> dict[str, dict[str, Any]]:
    """Each experiment that DVC shows, by its name: what it holds."""
    (commits,) = [json.loads(run(folder, "dvc", "exp", "show", "--json"))]
    experiments = [e for commit in commits for e in commit["experiments"] or []]
    return {e["name"]: e["revs"][0]["data"] for e in experiments}


def of_file(data: dict[str, Any], kind: str, file: str) -> dict[str, Any]:
    values: dict[str, Any] = data[kind][file]["data"]
    return values


def test_show_has_every_experiment_with_its_parameters_and_recall(tried: Path) -> None:
    experiments = shown(tried)
    assert len(experiments) == 4
    params = {name: of_file(data, "params", "params.yaml") for name, data in experiments.items()}
    assert params["depth"]["search"]["top_k"] == 1
    assert params["aside"]["evaluate"]["num_samples"] == 100
    queued = [params[name] for name in params.keys() - {"depth", "aside"}]
    assert {f"evaluate.seed={values['evaluate']['seed']}" for values in queued} == QUEUED
    ours = json.loads((tried / "metrics/recall.json").read_text())
    for data in experiments.values():
        metrics = of_file(data, "metrics", "metrics/recall.json")
        assert metrics["recall@1"] == ours["recall@1"]  # none of these changes the first match


@pytest.mark.parametrize("words", [("show",), ("diff", "--all")])
def test_tables_of_metrics_fit_a_terminal(tried: Path, words: tuple[str, ...]) -> None:
    table = run(tried, "dvc", "metrics", *words)
    assert "recall@1" in table
    assert max(map(len, table.split("\n"))) <= 100


def test_diff_names_what_changed(tried: Path) -> None:
    found = json.loads(run(tried, "dvc", "exp", "diff", "--json", "main", "depth"))
    changed = found["params"]["params.yaml"]
    assert changed == {"search.top_k": {"old": 5, "new": 1, "diff": -4}}
    assert found["metrics"]["metrics/recall.json"]["recall@5"]["new"] is None


def test_apply_brings_an_experiment_into_the_workspace(tried: Path) -> None:
    run(tried, "dvc", "exp", "apply", "aside")
    assert "num_samples: 100 " in (tried / "params.yaml").read_text()
    assert stages_run(run(tried, "dvc", "repro", "evaluate")) == set()
    run(tried, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")


def test_an_experiment_goes_to_a_colleague_by_git_and_the_remote(tried: Path) -> None:
    origin, theirs = tried.parent / "origin.git", tried.parent / "theirs"
    run(tried.parent, "git", "clone", "-q", "--bare", str(tried), str(origin))
    run(tried, "git", "remote", "add", "origin", str(origin))
    run(tried, "dvc", "exp", "push", "origin", "depth")
    run(tried.parent, "git", "clone", "-q", str(origin), str(theirs))
    run(theirs, "dvc", "exp", "pull", "origin", "depth")
    assert set(shown(theirs)) == {"depth"}
    run(theirs, "dvc", "exp", "apply", "depth")
    assert "top_k: 1 " in (theirs / "params.yaml").read_text()
    predictions = "data/predictions.npz"
    run(tried, "dvc", "exp", "apply", "depth")
    assert (theirs / predictions).read_bytes() == (tried / predictions).read_bytes()
