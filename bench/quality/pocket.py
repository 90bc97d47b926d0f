"""The exported page against `python -m vpr locate`: the demo's 120 queries, without a network.

`python -m bench.quality.pocket` runs the demo in float32, in bfloat16 and as committed, which
re-ranks; exports a page of each; asks it in Chromium after its server has stopped; and prints the
table of docs/experiments/pocket.md and each query whose first match differs. The false-acceptance
rate is one that the demo's 12 negatives can show, so that both give states.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.shared import markdown
from bench.shared.trials import RETRIEVAL, call, run_trial, temporary_clone
from tests.support.browsing import chromium
from tests.support.pages import locate_in_page, served
from vpr.run_files import QUERY_IMAGES
from vpr.runtime.parameters import load_param

RATE = {"evaluate.accept_false_rate": 0.25}
RUNS: dict[str, dict[str, object]] = {
    "float32": {"trunk.precision": "float32"},
    "bfloat16": {"trunk.precision": "bfloat16"},
    "bfloat16, re-ranked": {key: load_param(key, str) for key in RETRIEVAL},
}
TOP = 20  # matches by which the run's distance of the page's first one is found
Answers = list[dict[str, Any]]


def locate_by_run(clone: Path) -> Answers:
    """Answers of the command about all queries."""
    locate = [sys.executable, "-m", "vpr", "locate", str(QUERY_IMAGES), "--json", f"--top={TOP}"]
    done = subprocess.run(locate, cwd=clone, check=True, capture_output=True, text=True)
    answers: Answers = json.loads(done.stdout)
    return answers


def locate_by_page(clone: Path, scratch: Path) -> tuple[Answers, float]:
    """Answers of the exported page without a network, and the median seconds for each."""
    call(clone, sys.executable, "-m", "vpr", "export-page", str(scratch / "page"))
    answers, seconds = [], []
    with chromium() as browser:
        with served(scratch / "page", scratch / "log") as home:
            browser.visit(home)
            browser.driver.execute_async_script(
                "const done = arguments[0]; navigator.serviceWorker.ready.then(() => done());"
            )
        browser.visit(home)
        browser.wait("document.getElementById('legend').textContent")
        for photo in sorted((clone / QUERY_IMAGES).iterdir()):
            start = time.perf_counter()
            answers.append(locate_in_page(browser, photo))
            seconds.append(time.perf_counter() - start)
        said = browser.complaints(home=home)
    assert not said, said
    return answers, float(np.median(seconds))


def compare(run: Answers, page: Answers) -> tuple[list[object], list[str]]:
    """A row of the table, and what differs, by query."""
    differing, apart, states, chances = [], [], 0, []
    for number, (theirs, ours) in enumerate(zip(run, page, strict=True)):
        first, own = theirs["matches"][0], ours["matches"][0]
        states += theirs["state"] == ours["state"]
        if None not in (theirs["probability"], ours["probability"]):
            chances.append(abs(theirs["probability"] - ours["probability"]))
        if first["image"] == own["image"]:
            apart.append(abs(first["distance"] - own["distance"]))
            continue
        known = {match["image"]: match["distance"] for match in theirs["matches"]}
        further = known.get(own["image"], np.nan) - first["distance"]
        differing.append(
            f"- query {number}: run {first['image']} at {first['distance']:.4f}, page "
            f"{own['image']} at {own['distance']:.4f}, by the run {further:+.4f} further"
        )
    row = [len(run) - len(differing), max(apart), states, max(chances, default=np.nan)]
    return row, differing


def main() -> None:
    """Measure, and print."""
    titles = ["run", "same first match", "largest difference of its distance", "same state",
              "largest difference of probability", "seconds a photo"]  # fmt: skip
    table, lines = [], []
    with temporary_clone() as clone:
        for name, parameters in RUNS.items():
            run_trial(clone, RATE | parameters, target="evaluate")
            with TemporaryDirectory() as scratch:
                page, seconds = locate_by_page(clone, Path(scratch))
            row, differing = compare(locate_by_run(clone), page)
            table.append([name, *row, seconds])
            lines += [f"\n{name}:", *differing]
    print(markdown.head(titles))
    for cells in table:
        print(markdown.row(cells, form=".2g"))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
