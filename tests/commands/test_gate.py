"""The gate fails where DVC does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.repositories import run, set_key
from vpr.commands.gate import gate, judge, parse_limit

DIFF = json.loads(
    '{"metrics/recall.json": {"recall@1": {"old": 0.52, "new": 0.50, "diff": -0.02},'
    ' "error": {"old": 3.0, "new": NaN}, "new": {"new": 0.9}, "loss": {"old": 1, "new": 2}},'
    ' "other.json": {"loss": {"old": 1, "new": 2}}}'
)


@pytest.mark.parametrize(
    ("option", "limit", "kept", "words"),
    [
        ("min", "recall@1=0.5", True, "recall@1: 0.5; the minimum is 0.5"),
        ("min", "recall@1=0.51", False, "recall@1: 0.5; the minimum is 0.51"),
        ("min", "recall@5=0.1", False, "no such metric; available: error, loss, new, recall@1"),
        ("min", "error=0", False, "error: nan"),
        (
            "min",
            "loss=0",
            False,
            "ambiguous; name one of metrics/recall.json:loss, other.json:loss",
        ),
        ("min", "other.json:loss=2", True, "other.json:loss: 2"),
        ("drop", "recall@1=0.02", True, "0.52 -> 0.5; the maximum drop is 0.02"),
        ("drop", "recall@1=0.019", False, "0.52 -> 0.5"),
        ("drop", "new=0.5", False, "missing -> 0.9"),
        ("drop", "error=9", False, "3 -> nan"),
    ],
)
def test_limits_by_hand(option: str, limit: str, kept: bool, words: str) -> None:
    limits = {"min": [], "drop": [], option: [parse_limit(limit)]}
    ((found, why),) = judge(DIFF, minima=limits["min"], drops=limits["drop"])
    assert found is kept
    assert words in why


@pytest.mark.parametrize("text", ["{}", '{"metrics/recall.json": {}}'])
def test_a_diff_without_metrics_is_no_pass(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vpr.commands.gate._check_runs", lambda *_, **__: None)
    monkeypatch.setattr("vpr.commands.gate.ask_dvc", lambda *_: text)
    with pytest.raises(ValueError, match="dvc metrics diff"):
        gate(min=["recall@1=0"])


@pytest.mark.parametrize("text", ["recall@1", "=0.5", "recall@1=nan", "recall@1=high"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected METRIC=NUMBER"):
        parse_limit(text)


@pytest.mark.long
def test_the_command_fails_for_a_drop_and_for_a_metric_that_is_missing(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline)
    gate(min=["recall@1=0"], max_drop=["recall@1=0"])
    assert capsys.readouterr().out.count("ok  ") == 2
    file = pipeline / "metrics/recall.json"
    metrics = json.loads(file.read_text())
    file.write_text(json.dumps(metrics | {"recall@1": metrics["recall@1"] - 0.1}))
    run(pipeline, "dvc", "commit", "-q", "-f", "evaluate")  # as if the stage had written it
    with pytest.raises(SystemExit, match="1"):
        gate(max_drop=["recall@1=0.02"])
    assert capsys.readouterr().out.startswith("FAIL  recall@1: ")
    with pytest.raises(ValueError, match="nowhere: neither a revision of git nor an experiment"):
        gate("nowhere", max_drop=["recall@1=0"])
    with pytest.raises(SystemExit, match="1"):
        gate(min=["recall@2=0"])
    assert capsys.readouterr().out.startswith("FAIL  recall@2: no such metric; available: ")


def test_metrics_that_are_out_of_date_pass_no_gate(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    set_key(pipeline, "prepare.radius_m", "60")
    with pytest.raises(ValueError, match=r"workspace: metrics are out of date.*radius_m in params"):
        gate(min=["recall@1=0"])
    run(pipeline, "git", "commit", "-qam", "A radius that never ran")
    with pytest.raises(ValueError, match=r"HEAD: metrics are out of date.*\(null -> 60\)"):
        gate("HEAD~1", "HEAD", min=["recall@1=0"])
    gate("HEAD~1", "HEAD~1", min=["recall@1=0"])


def test_another_protocol_is_no_gain(wider_pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wider_pipeline)
    gate(min=["recall@1=0"])
    with pytest.raises(ValueError, match=r"HEAD and workspace were measured differently") as caught:
        gate(max_drop=["recall@1=0"])
    assert "prepare.radius_m is null and 60" in str(caught.value)


def test_a_gate_without_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a limit, found none"):
        gate()
