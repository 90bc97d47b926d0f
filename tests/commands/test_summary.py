"""What `make run` ends with: recall beside the last commit's, on 80 columns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.repositories import run, set_key
from vpr.commands.summary import as_table, describe_without_positives, summary


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


def test_the_last_commit_is_shown_only_if_something_differs() -> None:
    ours = metrics(recallat1=0.5, recallat5=0.75)
    assert "last commit" not in as_table(ours, ours)
    assert as_table(ours, metrics(recallat1=0.25)).split("\n")[:3] == [
        "recall@N  this run               last commit",
        "recall@1  0.500 (0.450-0.550)    0.250 (0.200-0.300)",
        "recall@5  0.750 (0.700-0.800)",
    ]


def test_depths_may_be_any_and_in_any_order() -> None:
    assert as_table(metrics(recallat20=0.95, recallat5=0.75), {}).split("\n")[1:3] == [
        "recall@5   0.750 (0.700-0.800)",
        "recall@20  0.950 (0.900-1.000)",
    ]


def test_the_widest_table_fits_a_terminal() -> None:
    ours = metrics(recallat1=0.5, sequence_recallat20=0.95)
    table = as_table(ours, metrics(recallat1=0.4, sequence_recallat20=0.9))
    assert "sequence_recall@20" in table
    assert max(map(len, table.split("\n"))) <= 80


def test_queries_without_a_positive_are_counted_and_recall_of_the_others_is_shown() -> None:
    details = {
        "recall@1_answerable": 0.8, "recall@20_answerable": 1.0, "accept_recall": 0.5,
        "num_queries_without_positives": 80,
    }  # fmt: skip
    words = describe_without_positives(280, details)
    assert max(map(len, words.split("\n"))) <= 80
    assert " ".join(words.split()) == (
        "80 queries have no positive (no database photo within the radius) and count as failures; "
        "over the other 200: recall@1 0.800, recall@20 1.000"
    )


def test_the_command_names_the_files_and_what_a_changed_lock_means(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline)
    recall = json.loads(Path("metrics/recall.json").read_text())["recall@1"]
    summary()
    out = capsys.readouterr().out
    assert f"recall@1  {recall:.3f} (" in out
    assert "last commit" not in out
    assert "metrics/report/index.html" in out

    set_key(pipeline, "evaluate.confidence", "0.5")
    run(pipeline, "dvc", "repro", "--single-item", "evaluate")
    summary()
    out = capsys.readouterr().out
    assert len(re.findall(rf"recall@1  {recall:.3f} \(\S+ +{recall:.3f} \(", out)) == 1
    assert "dvc.lock is not as committed" in out
    assert max(map(len, out.split("\n"))) <= 80


@pytest.mark.long
def test_a_last_commit_of_another_protocol_is_not_shown_and_stale_metrics_are_refused(
    wider_pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(wider_pipeline)
    set_key(wider_pipeline, "prepare.radius_m", "61")
    with pytest.raises(ValueError, match=r"prepare\.radius_m in params\.yaml \(60 -> 61\)"):
        summary()
    set_key(wider_pipeline, "prepare.radius_m", "60")
    summary()
    out = " ".join(capsys.readouterr().out.split())
    assert "this run last commit" not in out
    assert "The last commit is not shown: the last commit and this run were measured" in out
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    for out in lock["stages"]["prepare"]["outs"]:
        out["md5"] = "0" * 32 + ".dir" * out["md5"].endswith(".dir")
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    summary()
    assert "The last commit is not shown: it ran on another data set" in capsys.readouterr().out
    Path("metrics/recall.json").write_text("{")
    with pytest.raises(ValueError, match=r"out of date.*metrics/recall\.json"):
        summary()
