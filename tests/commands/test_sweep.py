"""A sweep's table holds what DVC's experiments found, the best first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import change, run
from vpr.commands.sweep.command import sweep
from vpr.commands.sweep.trials import Trial, as_table, list_cells, parse_trials


def entry(name: str, lr: float, clusters: int, *, top_k: int = 20, done: bool = True) -> dict:
    params = {"finetune": {"lr": lr, "num_clusters": clusters}, "search": {"top_k": top_k}}
    data = {"params": {"params.yaml": {"data": params}}, "metrics": {"recall.json": {}}}
    return {"name": name, "revs": [{"rev": f"rev-{name}", "data": data if done else None}]}


def shown(*experiments: dict[str, Any]) -> list[dict[str, Any]]:
    commit = entry("main", 1e-4, 16)
    return [{}, {**commit["revs"][0], "name": "main", "experiments": list(experiments)}]


def test_cells_are_filled_by_finished_runs_that_differ_in_nothing_else() -> None:
    found = parse_trials(
        shown(
            entry("newer", 1e-5, 64),
            entry("older", 1e-5, 64),
            entry("deeper", 1e-5, 16, top_k=50),
            entry("failed", 1e-4, 64, done=False),
        )
    )
    assert {cell: trial.name for cell, trial in found.items()} == {
        (1e-4, 16): "main",
        (1e-5, 64): "newer",
    }
    assert found[1e-5, 64].revision == "rev-newer"


def test_the_grid_has_every_pair() -> None:
    assert list_cells([1e-5, 1e-4], [16, 64]) == [(1e-5, 16), (1e-5, 64), (1e-4, 16), (1e-4, 64)]


def test_the_best_recall_comes_first_with_its_interval() -> None:
    recalls = {"a": 0.25, "b": 0.75}
    rows = [
        (
            Trial(name, "", (1e-5, number)),
            {"recall@1": recall, "recall@1_block_bootstrap": [recall - 0.1, 0.9], "recall@5": 1.0},
        )
        for number, (name, recall) in enumerate(recalls.items())
    ]
    _, best, worst = as_table(rows).split("\n")
    assert best.split() == ["1e-05", "1", "0.750", "(0.650-0.900)", "1.000/-/-", "b"]
    assert worst.split() == ["1e-05", "0", "0.250", "(0.150-0.900)", "1.000/-/-", "a"]


@pytest.mark.soak
def test_a_sweep_runs_what_is_missing_and_only_once(pipeline: Path) -> None:
    command = ("python", "-m", "vpr", "sweep", "--lr", "1e-4 1e-3", "--clusters", "4")
    first = run(pipeline, *command)
    assert first.count("$ dvc exp run --temp") == 1  # the commit itself is one cell
    assert "Running stage 'finetune'" in first
    assert "Running stage 'trunk@database'" not in first
    second = run(pipeline, *command)
    assert "$ dvc exp run" not in second
    recall = json.loads((pipeline / "metrics/recall.json").read_text())["recall@1"]
    (ours,) = [line for line in second.split("\n") if line.endswith(" main")]
    assert ours.split()[:3] == ["0.0001", "4", f"{recall:.3f}"]
    assert run(pipeline, "git", "status", "--porcelain") == ""


def test_numbers_that_are_none_are_named_by_their_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"--lr '1e-5,fast': expected numbers"):
        sweep(lr="1e-5,fast", clusters="16")
    with pytest.raises(ValueError, match=r"--clusters '16.5': expected numbers"):
        sweep(lr="1e-5,1e-4", clusters="16.5")


def test_rates_without_epochs_and_weights_that_others_lack_are_told_before_a_run(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    change(pipeline, "epochs: 1 ", "epochs: 0 ")
    with pytest.raises(ValueError, match=r"--lr: finetune\.epochs = 0"):
        sweep(lr="1e-5 1e-4", clusters="4")
    change(pipeline, "epochs: 0 ", "epochs: 1 ")
    change(pipeline, "weights: random", "weights: own.pth")
    (pipeline / "models/pretrained/own.pth").write_bytes(b"weights")
    with pytest.raises(
        ValueError, match=r"own\.pth is tracked by neither DVC nor git, .* run `dvc add"
    ):
        sweep(lr="1e-5", clusters="4")
