"""Recorded runs in one table: numbers by hand, then as a person asks in a DVC repository."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.browsing import Browser, chromium
from tests.support.repositories import run
from vpr.__main__ import app
from vpr.commands.compare.runs import ComparedRun
from vpr.commands.leaderboard.command import time_query
from vpr.commands.leaderboard.standings import Leaderboard, rank_runs
from vpr.commands.leaderboard.tables import as_csv, as_latex, as_markdown, as_text, write_page
from vpr.evaluation.comparison import adjust_by_holm, mcnemar_p_value
from vpr.evaluation.params import EvaluateParams
from vpr.repository.locked_run import Stage, Tracked
from vpr.repository.recorded_metrics import LOCKED, Protocol

PARAMS = EvaluateParams((1, 5), (5.0,), 1, 200, 0.95, 0, "distance", 0.01, "data/foreign")
DAY, NIGHT = (
    {thing: f"{thing} by {time}" for thing in LOCKED.values()} for time in ("day", "night")
)
ENCODERS = {"base": "vgg16", "better": "xfeat", "worse": "xfeat", "a_b|c & <i>": "sift"}
RIGHT = {"base": 20, "better": 36, "worse": 4, "a_b|c & <i>": 21}  # of 40 queries, the first ones


def made(
    name: str, num_right: int, *, measured: dict[str, str] = DAY, dim: int = 64, **trunk: object
) -> ComparedRun:
    """A run of 40 queries that answers the first ones, and the others at rank 3."""
    ranks = np.where(np.arange(40) < num_right, 1, 3)
    time = measured["positives"].split()[-1]
    params = [
        {"dataset": {"dir": f"data/{time}", "index": None}},
        {"trunk": {"encoder": "vgg16", **trunk}, "whiten": {"dim": dim}},
    ]
    out = Tracked("data/whitened/query.npy", "0", 128 + 40 * 4 * dim)
    stages = {
        "prepare": Stage(params={"params.yaml": params[0]}),
        "whiten": Stage(outs=[out], params={"params.yaml": params[1]}),
    }
    return ComparedRun(
        name,
        [f"{n}.jpg" for n in range(40)],
        ranks,
        (1, 5),
        None,
        Protocol(measured, "25"),
        stages,
    )


def boards() -> Leaderboard:
    runs = [made(name, RIGHT[name], encoder=ENCODERS[name], dim=64 if name != "worse" else 8)
            for name in ENCODERS]  # fmt: skip
    return rank_runs(runs, PARAMS, baseline="base")


@pytest.mark.parametrize(
    "values", [[0.01, 0.04, 0.03], [0.5], [0.02, 0.02, 0.9, 0.001], [0.4, 0.6]]
)
def test_holm_rejects_what_the_step_down_procedure_rejects(values: list[float]) -> None:
    adjusted = adjust_by_holm(values)
    for level in np.linspace(0.0005, 0.9995, 400):
        rejected, m = set(), len(values)
        for step, number in enumerate(sorted(range(m), key=lambda n: values[n])):
            if values[number] > level / (m - step):
                break
            rejected.add(number)
        assert {number for number in range(m) if adjusted[number] <= level} == rejected


def test_of_no_comparison_there_is_nothing_to_adjust() -> None:
    assert adjust_by_holm([]) == []


def test_rows_are_ranked_and_compared_with_the_baseline() -> None:
    board = boards()
    assert [row.name for row in board.rows] == ["better", "a_b|c & <i>", "base", "worse"]
    better, near, base, worse = (row.entries["day"] for row in board.rows)
    assert [entry.recalls[1][0] for entry in (better, near, base, worse)] == [0.9, 0.525, 0.5, 0.1]
    assert better.recalls[5][0] == 1
    low, high = better.recalls[5][1]
    assert 0.9 < low < high == 1  # Wilson's, where the bootstrap has no width
    assert base.paired is None and base.p_value is None
    assert better.paired is not None and better.paired.difference == pytest.approx(0.4)
    smallest = [mcnemar_p_value(16, 0), mcnemar_p_value(0, 16)]
    assert better.p_value == pytest.approx(3 * smallest[0])
    assert worse.p_value == pytest.approx(3 * smallest[1])  # not below the one before
    assert near.p_value == 1
    assert board.num_comparisons == 3
    assert [row.descriptor_bytes for row in board.rows] == [256, 256, 256, 32]
    assert [list(row.changes) for row in board.rows] == [
        ["trunk.encoder=xfeat"], ["trunk.encoder=sift"], [], ["trunk.encoder=xfeat", "whiten.dim=8"]
    ]  # fmt: skip


def test_text_and_markdown_say_what_was_corrected_and_survive_any_name() -> None:
    text, md = as_text(boards()), as_markdown(boards())
    lines = [line.split() for line in text.split("\n")]
    assert lines[0] == ["run", "recall@1", "recall@5", "@1", "-", "base", "p", "bytes"]
    assert [*lines[3][:2], *lines[3][3:]] == ["base", "0.500", "1.000", "(0.912-1.000)", "256"]
    assert "adjusted by Holm for 3 comparisons" in text
    assert "worse: trunk.encoder=xfeat, whiten.dim=8" in text
    (row,) = [line for line in md.split("\n") if "a_b" in line]
    assert row.startswith("| a_b\\|c & <i> | 0.525 (")
    assert row.replace("\\|", "").count("|") == md.split("\n")[0].count("|")


def test_latex_escapes_and_every_row_has_the_same_number_of_cells() -> None:
    text = as_latex(boards())
    rows = [line for line in text.split("\n") if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {6}
    assert r"a\_b|c \& <i> & 0.525" in text
    assert r"\begin{tabular}{lrrrrrr}" in text
    assert text.startswith("% day: 40 queries")


def test_csv_has_numbers_in_full() -> None:
    better, *_, worse = csv.DictReader(io.StringIO(as_csv(boards())))
    assert (better["run"], better["set"], better["num_queries"]) == ("better", "day", "40")
    assert float(better["recall@1"]) == 0.9
    assert float(better["p_holm"]) == pytest.approx(3 * mcnemar_p_value(16, 0))
    assert worse["changes"] == "trunk.encoder=xfeat; whiten.dim=8"


def test_several_sets_have_their_columns_and_a_configuration_one_row() -> None:
    runs = [
        made("day", 20), made("night", 4, measured=NIGHT),
        made("xfeat-day", 36, encoder="xfeat"),
        made("xfeat-night", 20, measured=NIGHT, encoder="xfeat"),
        made("alone", 40, encoder="sift"),
    ]  # fmt: skip
    board = rank_runs(runs, PARAMS, baseline="day")
    assert list(board.sets) == ["day", "night"]
    assert [row.name for row in board.rows] == ["alone", "xfeat-day, xfeat-night", "day, night"]
    xfeat = board.rows[1].entries
    assert xfeat["night"].paired is not None
    assert xfeat["night"].paired.difference == pytest.approx(0.4)  # from the baseline by night
    assert board.num_comparisons == 3
    header, _, first, second, third = as_markdown(board).split("\n")[:5]
    assert header.startswith("| run | day: recall@1 | day: @1 - day | day: p | night: recall@1 |")
    assert "| alone | 1.000 (0.912-1.000) | +0.500 (" in first
    assert "| < 0.001 |  |  |  |" in first  # not by night
    assert "| xfeat-day, xfeat-night | 0.900 (" in second
    assert "| day, night | 0.500 (" in third
    assert [row["set"] for row in csv.DictReader(io.StringIO(as_csv(board)))] == [
        "day", "day", "night", "day", "night",
    ]  # fmt: skip


def test_sets_of_one_folder_are_told_apart_by_index_or_number() -> None:
    one, other = made("a", 1), made("b", 2, measured=NIGHT)
    tables = [run.stages["prepare"].params["params.yaml"] for run in (one, other)]
    for index, names in (("day.mat", ["x (1)", "x (2)"]), ("night.mat", ["x/day", "x/night"])):
        tables[0]["dataset"] = {"dir": "data/x", "index": "day.mat"}
        tables[1]["dataset"] = {"dir": "data/x", "index": index}
        assert list(rank_runs([one, other], PARAMS, baseline="a").sets) == names


def test_bare_tables_compare_with_runs_on_the_same_queries_and_are_never_one_configuration() -> (
    None
):
    names = {"names of the queries": "n"}
    recorded = replace(made("run", 20), protocol=Protocol({**DAY, **names}, "25"))
    bare = [
        replace(recorded, name="a.csv", ranks=np.ones(40, dtype=np.int64), stages={},
                protocol=Protocol(names, None)),
        replace(recorded, name="b.csv", stages={}, protocol=Protocol({**names, "x": "y"}, None)),
        replace(recorded, name="c.csv", stages={}, depths=(5,),
                protocol=Protocol({"names of the queries": "others"}, None)),
    ]  # fmt: skip
    board = rank_runs([recorded, *bare], PARAMS, baseline="run")
    assert (list(board.sets), board.depth) == (["day", "set"], 5)
    assert [row.name for row in board.rows] == ["a.csv", "run", "b.csv", "c.csv"]
    assert board.num_comparisons == 2
    with pytest.raises(ValueError, match=r"no depth N in common: run reports \(1, 5\); c\.csv"):
        rank_runs([recorded, replace(bare[2], depths=(20,))], PARAMS, baseline="run")


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="--baseline other: expected one of a, b"):
        rank_runs([made("a", 1), made("b", 2)], PARAMS, baseline="other")


# The page.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    monkeypatch.chdir(tmp_path)
    assert write_page(Path("board"), boards()) == 0
    return tmp_path / "board" / "index.html"


def names(browser: Browser) -> list[Any]:
    return [text.split("\n")[0] for text in browser.texts(".board tbody th")]


def test_the_page_sorts_by_mouse_menu_and_keys_and_asks_for_nothing(
    browser: Browser, page: Path
) -> None:
    browser.resize(1280, 900)
    browser.open(page)
    assert names(browser) == ["better", "a_b|c & <i>", "base", "worse"]
    browser.click("thead th:nth-child(2) button")  # recall@1 again: the other way
    assert names(browser) == ["worse", "base", "a_b|c & <i>", "better"]
    assert browser.texts("#status") == ["4 runs by recall@1, smallest first"]
    assert browser.run("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == (
        "ascending"
    )
    browser.run("document.querySelector('thead button').focus()")
    browser.press(" ")
    assert names(browser) == ["a_b|c & <i>", "base", "better", "worse"]
    browser.click("thead th:nth-child(5) button")  # p: the baseline has none and comes last
    assert names(browser)[-1] == "base"
    assert browser.texts("td .right") == ["▲ better"]
    assert browser.texts("td .wrong") == ["▼ worse"]
    assert browser.complaints() == []


def test_on_a_phone_each_run_is_a_card_with_every_number_named(
    browser: Browser, page: Path
) -> None:
    browser.resize(390, 844)
    browser.open(page)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert not browser.run("document.querySelector('thead').offsetParent")
    heads = browser.run(
        "[...document.querySelectorAll('tbody tr:first-child td')].map(c => "
        "getComputedStyle(c, '::before').content)"
    )
    assert heads == ['"recall@1"', '"recall@5"', '"@1 - base"', '"p"', '"bytes"']
    browser.click("#turn")
    assert names(browser)[0] == "worse"
    assert browser.complaints() == []


def test_a_folder_of_other_files_is_not_overwritten(page: Path) -> None:
    write_page(Path("board"), boards())  # its own is
    Path("board/mine.txt").touch()
    with pytest.raises(ValueError, match=r"--html board: has other files \(mine\.txt\)"):
        write_page(Path("board"), boards())


# In a repository.


def ask(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["leaderboard", *arguments])
    return str(done.exception) if done.exception else done.output


@pytest.mark.long
def test_recorded_experiments_branches_and_commits_become_rows(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    monkeypatch.chdir(pipeline)
    run(pipeline, "dvc", "exp", "run", "-n", "deep", "-S", "search.top_k=6", "evaluate")
    run(pipeline, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    run(pipeline, "git", "branch", "same")
    run(pipeline, "git", "commit", "-q", "--allow-empty", "-m", "Nothing new")
    with (pipeline / "stages/order.py").open("a") as file:
        file.write("# changed\n")
    run(pipeline, "git", "commit", "-qam", "Code that never ran")
    run(pipeline, "git", "branch", "stale")
    run(pipeline, "git", "reset", "-q", "--hard", "HEAD~1")

    told = ask("--html", "board")
    assert {line.split()[0] for line in told.split("\n")[1:3]} == {"HEAD", "deep"}
    assert "Left out: same: the same run as HEAD" in told
    assert "Left out: stale: metrics are out of date" in told
    assert "deep: search.top_k=6" in told
    assert "adjusted by Holm for 1 comparisons" in told
    assert "with 1 reports from DVC's cache" in told  # the experiment made none
    browser.resize(1280, 900)
    browser.open(pipeline / "board/index.html")
    assert browser.texts(".board a") == ["HEAD"]
    browser.click(".board a")
    assert browser.texts("h1") == ["Overview"]

    assert "Seconds a query are not recorded" in told
    timed = ask("HEAD", "--time", "2", "--html", "board")
    assert "mean of 2 queries" in timed
    assert "s a query" in timed.split("\n")[0]
    browser.open(pipeline / "board/index.html")
    heads = browser.texts("thead th")
    seconds = browser.texts("tbody tr:first-child td")[heads.index("s a query") - 1]
    assert 0.0005 < float(seconds) < 60
    assert "@1 - deep" in ask("--baseline", "deep")
    assert len(ask("HEAD", "deep", "--format", "csv").split("\n")) == 4
    assert "metrics are out of date" in ask("HEAD", "stale")
    assert "neither a revision" in ask("HEAD", "depe")
    shutil.rmtree(pipeline / ".dvc/cache/files/md5")
    told = ask("HEAD", "--time", "1")
    assert "Not timed: HEAD: --time: models/netvlad/model.pt is missing" in told


def test_a_folder_is_timed_by_the_code_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--time: ModuleNotFoundError: No module named 'vpr'"):
        time_query("other", home=tmp_path, count=1)
