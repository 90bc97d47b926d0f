"""What `make run` ends with: recall beside the last commit's, on 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.repositories import run
from vpr.commands.summary import as_table, summary


def metrics(**recalls: float) -> dict[str, object]:
    found: dict[str, object] = {"num_queries": 280}
    for name, recall in recalls.items():
        key = name.replace("at", "@")
        found |= {key: recall, f"{key}_block_bootstrap": [recall - 0.05, recall + 0.05]}
    return found


def test_a_run_without_a_commit_to_compare_with_has_one_column() -> None:
    assert as_table(metrics(recallat1=0.5, recallat20=0.95), {}).split("\n") == [
        "recall@N   this run",
        "recall@1   0.500 (0.450-0.550)",
        "recall@20  0.950 (0.900-1.000)",
        "280 queries; intervals by block bootstrap along the route",
    ]


def test_the_last_commit_stands_beside_only_if_something_differs() -> None:
    ours = metrics(recallat1=0.5, recallat5=0.75)
    assert "last commit" not in as_table(ours, ours)
    assert as_table(ours, metrics(recallat1=0.25)).split("\n")[:3] == [
        "recall@N  this run               last commit",
        "recall@1  0.500 (0.450-0.550)    0.250 (0.200-0.300)",
        "recall@5  0.750 (0.700-0.800)",
    ]


def test_the_widest_table_fits_a_terminal() -> None:
    ours = metrics(recallat1=0.5, sequence_recallat20=0.95)
    table = as_table(ours, metrics(recallat1=0.4, sequence_recallat20=0.9))
    assert "sequence_recall@20" in table
    assert max(map(len, table.split("\n"))) <= 80


def test_the_command_names_the_files_and_what_a_changed_lock_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "git", "init", "-q")
    Path("metrics").mkdir()
    Path("metrics/recall.json").write_text(json.dumps(metrics(recallat1=0.5)))
    Path("dvc.lock").write_text("a: 1\n")
    summary()  # no commit yet
    assert "last commit" not in capsys.readouterr().out
    for words in (
        ("add", "-A"),
        ("-c", "user.name=T", "-c", "user.email=t@e.org", "commit", "-qm1"),
    ):
        run(tmp_path, "git", *words)
    Path("metrics/recall.json").write_text(json.dumps(metrics(recallat1=0.75)))
    Path("dvc.lock").write_text("a: 2\n")
    summary()
    out = capsys.readouterr().out
    assert "recall@1  0.750 (0.700-0.800)    0.500 (0.450-0.550)" in out
    assert "metrics/report/index.html" in out
    assert "dvc.lock is not as committed" in out
    assert max(map(len, out.split("\n"))) <= 80
    Path("metrics/recall.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics/recall\.json: not readable as JSON"):
        summary()
