"""Two runs compared: by hand, and as a person asks in a real DVC repository."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.browsing import chromium
from tests.support.repositories import change, run, set_key
from vpr.commands.compare.command import as_markdown, as_text, compare
from vpr.commands.compare.runs import ComparedRun, Comparison, load_run
from vpr.commands.report.command import report, write_page
from vpr.evaluation.comparison import (
    Answers,
    PairedRisk,
    compare_ranks,
    compare_risks,
    mcnemar_p_value,
)
from vpr.evaluation.recall import NEVER
from vpr.repository.recorded_metrics import Protocol, check_same_protocol

A = np.array([1, 3, NEVER, 1, 2])
B = np.array([1, 1, 5, NEVER, 1])
BOOTSTRAP = {"block_length": 1, "num_samples": 500, "confidence": 0.95, "seed": 0}


def test_flips_and_differences_by_hand() -> None:
    first, fifth = compare_ranks(A, B, ns=[1, 5], **BOOTSTRAP)  # type: ignore[arg-type]
    assert (first.recall_a, first.recall_b) == (0.4, 0.6)
    assert first.difference == pytest.approx(0.2)
    assert (first.gained, first.lost) == ([1, 4], [3])
    assert first.p_value == 1.0
    assert (fifth.gained, fifth.lost) == ([2], [3])
    assert (fifth.recall_a, fifth.recall_b, fifth.difference) == (0.8, 0.8, 0.0)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (7, 1), (3, 12), (40, 40), (5, 60)])
def test_mcnemar_is_the_tail_of_a_fair_coin(gained: int, lost: int) -> None:
    flips, fewer = gained + lost, min(gained, lost)
    tail = sum(math.comb(flips, k) for k in range(fewer + 1)) / 2**flips
    assert mcnemar_p_value(gained, lost) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_the_interval_of_a_paired_difference_is_that_of_its_mean() -> None:
    rng = np.random.default_rng(0)
    change = rng.choice([-1, 0, 1], size=400, p=[0.1, 0.6, 0.3])
    a, b = np.where(change < 0, 1, 9), np.where(change > 0, 1, 9)
    (found,) = compare_ranks(a, b, ns=[1], **BOOTSTRAP)  # type: ignore[arg-type]
    half = 1.96 * change.std() / np.sqrt(400)  # blocks of one: queries are independent
    expected = (change.mean() - half, change.mean() + half)
    assert found.interval == pytest.approx(expected, abs=0.01)


def test_risks_of_two_runs_by_hand() -> None:
    right = np.array([True, True, False, True])
    a = Answers(np.array([0.9, 0.8, 0.7, 0.6]), right)  # the wrong one third
    b = Answers(np.array([0.9, 0.8, 0.1, 0.6]), right)  # last
    coverage, area = compare_risks(a, b, **BOOTSTRAP)  # type: ignore[arg-type]
    assert (coverage.value_a, coverage.value_b, coverage.difference) == (0.5, 0.75, 0.25)
    assert (area.value_a, area.value_b) == pytest.approx(((1 / 3 + 1 / 4) / 4, 1 / 16))
    assert area.interval[0] <= area.difference <= area.interval[1] <= 0 <= coverage.interval[0]
    for same in compare_risks(a, a, **BOOTSTRAP):  # type: ignore[arg-type]
        assert same.difference == 0 and same.interval == (0, 0)


def test_other_protocols_are_named() -> None:
    a = Protocol({"query list": "a" * 64, "positives": "b" * 64}, "null")
    b = Protocol({"query list": "a" * 64, "positives": "c" * 64, "database list": "d"}, "10")
    assert check_same_protocol(a, a, names=("x", "y")) == ["query list", "positives"]
    with pytest.raises(ValueError, match="x and y were measured differently") as caught:
        check_same_protocol(a, b, names=("x", "y"))
    assert "positives: bbbbbbbb and cccccccc" in str(caught.value)
    assert "prepare.radius_m is null and 10" in str(caught.value)
    assert "query list" not in str(caught.value)


def write_table(path: Path, paths: list[str], ranks: list[str]) -> str:
    columns = {"path": paths, "first_correct_rank": ranks, "num_positives": 1}
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


def test_bare_tables_compare_as_deep_as_they_tell(tmp_path: Path) -> None:
    a = load_run(write_table(tmp_path / "a.csv", ["x", "y"], ["1", ""]))
    b = load_run(write_table(tmp_path / "b.csv", ["x", "y"], ["7", "2"]))
    assert (a.depths, b.depths) == ((1,), (1, 5))
    assert b.ranks.tolist() == [7, 2]
    assert a.protocol == b.protocol
    other = load_run(write_table(tmp_path / "c.csv", ["y", "x"], ["1", "1"]))
    with pytest.raises(ValueError, match="names of the queries"):
        check_same_protocol(a.protocol, other.protocol, names=("a", "c"))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["x,0,1"], r"row\[0\]\.first_correct_rank = '0': Input should be greater than 0"),
        (["x,1,1", "y,1.5,1"], r"row\[1\]\.first_correct_rank"),
        (["x,1,1", "y,1,1,1"], r"row\[1\]\.path = \['1'\]"),
        (["x,1,1", "y,1"], r"row\[1\]\.num_positives = None"),
        (["x"], r"row\[0\]\.num_positives"),
        ([], "expected a row per query, found none"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, rows: list[str], words: str) -> None:
    lines = ["path,first_correct_rank,num_positives", *rows]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"a\.csv: {words}"):
        load_run(str(tmp_path / "a.csv"))


def test_names_cannot_break_the_tables(tmp_path: Path) -> None:
    paths = ["a|b.jpg", "`c`.jpg", "e", "d", "<b>.jpg"]
    rows = [{"path": path} for path in paths]
    runs = [ComparedRun(name, paths, ranks, (1,), None, Protocol({}, None), {}, rows)
            for name, ranks in (("A", A), ("B", B))]  # fmt: skip
    recalls = compare_ranks(A, B, ns=[1], **BOOTSTRAP)  # type: ignore[arg-type]
    risks = [PairedRisk("area_under_risk_coverage", 0.45, 0.1, -0.35, (-0.5, -0.2))]
    found = Comparison(runs[0], runs[1], ["query list"], recalls, risks, [], 1, 0.95)
    lines = as_markdown(found).split("\n")
    assert "| area under risk | 0.450 | 0.100 | -0.350 | -0.500 to -0.200 |  |  |  |" in lines
    assert "| `` `c`.jpg `` | 3 | 1 | gained at 1 |" in lines
    assert "| ` d ` | 1 | none | lost at 1 |" in lines
    write_page(tmp_path / "page.html", found)
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;.jpg" in page and "<b>.jpg" not in page
    assert "▼ B is worse" not in page  # less area under risk is better
    assert "Unknown: a table of queries records none." in page
    lines = [line.split() for line in as_text(found).split("\n")]
    assert ["`c`.jpg", "3", "1", "gained", "at", "1"] in lines


def test_runs_of_a_repository_compare_by_revision_and_experiment(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(pipeline)
    compare(["HEAD", "HEAD"], json=True)
    itself = json.loads(capsys.readouterr().out)
    assert {one["p_value"] for one in itself["recall"]} == {1.0}
    assert [one["gained"] + one["lost"] for one in itself["recall"]] == [[], []]  # N = 1, 5
    assert "query images" in itself["same_by_content_hash"]
    assert itself["block_length"] == 2  # a third of 8 queries, whatever evaluate.block_length says

    queries = pipeline / "metrics/queries.csv"
    table = pd.read_csv(queries, dtype=str, keep_default_na=False)
    was = table.loc[3, "first_correct_rank"]
    table.loc[3, "first_correct_rank"] = "" if was == "1" else "1"
    table.to_csv(queries, index=False)
    with pytest.raises(ValueError, match=r"workspace: metrics are out of date.*queries\.csv"):
        compare(["HEAD", "workspace"])
    run(pipeline, "dvc", "commit", "-q", "-f", "evaluate")  # as if the stage had written it
    run(pipeline, "dvc", "exp", "save", "-n", "flipped")
    run(pipeline, "git", "checkout", "-q", "metrics", "dvc.lock")
    compare(["main", "flipped"], json=True)
    flipped = json.loads(capsys.readouterr().out)["recall"][0]
    assert flipped["gained"] + flipped["lost"] == [3]
    assert flipped["difference"] == pytest.approx((-1 if was == "1" else 1) / 8)
    compare(["HEAD", "metrics/queries.csv"], md=True)
    assert "Flipped queries: 0" in capsys.readouterr().out
    report([str(pipeline), "metrics/queries.csv"], html=tmp_path / "same.html")
    report(["main", "flipped"], html=tmp_path / "page.html")
    with pytest.raises(ValueError, match=r"--html .*: there is no folder"):
        report(["nowhere", "either"], html=tmp_path / "none/page.html")
    with chromium() as browser:
        browser.open(tmp_path / "page.html")
        assert browser.texts("h1") == ["flipped (B) against main (A)"]
        assert browser.texts(".changed h3") == ["Query 3: queries/0003.jpg"]
        assert browser.texts(".changed figure")[1:] == [
            text for text in browser.texts(".changed figure")[1:] if text[:3] in ("A: ", "B: ")
        ]
        assert browser.run("document.images.length") == 3
        assert browser.load_images() == []
        assert browser.complaints() == []
        browser.resize(390, 844)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        browser.open(tmp_path / "same.html")
        assert "no clear difference" in browser.texts(".card")[0]
        assert browser.run("document.images.length") == 0
    with pytest.raises(ValueError, match=r"fliped: neither .* experiment; did you mean flipped\?"):
        compare(["HEAD", "fliped"])
    for runs in (["HEAD"], ["HEAD", "flipped", "workspace"]):
        with pytest.raises(
            ValueError, match=f"two runs, found {', '.join(runs)}: `python -m vpr le"
        ):
            compare(runs)


@pytest.mark.long
def test_other_code_is_named(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline)
    change(pipeline, "- 1\n    - 5\n    - 10\n    - 20", "- 5\n    - 1")
    with (pipeline / "stages/evaluate.py").open("a") as file:
        file.write("# changed\n")
    run(pipeline, "dvc", "repro", "evaluate")
    compare(["HEAD", "workspace"])
    assert "Code of workspace is not that of HEAD: stages/evaluate.py" in capsys.readouterr().out


def test_another_radius_is_another_protocol(
    wider_pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wider_pipeline)
    with pytest.raises(ValueError, match="HEAD and workspace were measured differently") as caught:
        compare(["HEAD", "workspace"])
    assert "  positives: " in str(caught.value)
    assert "prepare.radius_m is null and 60" in str(caught.value)
    assert "images" not in str(caught.value)


def test_runs_without_a_depth_in_common_and_code_that_never_ran_are_refused(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pipeline)
    change(pipeline, "- 1\n    - 5\n    - 10\n    - 20", "- 2")
    run(pipeline, "dvc", "repro", "--single-item", "evaluate")
    with pytest.raises(ValueError, match=r"HEAD reports \(1, 5\); workspace reports \(2,\)"):
        compare(["HEAD", "workspace"])
    with (pipeline / "stages/search.py").open("a") as file:
        file.write("# changed\n")
    run(pipeline, "git", "commit", "-qam", "Code that never ran")
    with pytest.raises(ValueError, match=r"HEAD: metrics are out of date.*: stages/search\.py\."):
        compare(["HEAD", "HEAD~1"])
    set_key(pipeline, "sample.num_query", "9")
    with pytest.raises(ValueError, match=r"sample\.num_query in params\.yaml \(8 -> 9\)"):
        compare(["workspace", "HEAD~1"])
