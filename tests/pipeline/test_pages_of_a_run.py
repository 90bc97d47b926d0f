"""The pages that a real run of the pipeline leaves: the report, and DVC's own plots."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.browsing import chromium
from tests.support.repositories import run


def test_the_pages_of_a_run_open_offline(pipeline: Path) -> None:
    run(pipeline, "dvc", "plots", "show")
    metrics = json.loads((pipeline / "metrics/recall.json").read_text())
    with chromium() as browser:
        for page in ("index.html", "map.html", "gallery.html"):
            browser.open(pipeline / "metrics" / "report" / page)
            assert browser.load_images() == []
            assert browser.complaints() == []
        assert browser.texts("#status") == ["8 of 8 queries, page 1 of 1"]
        browser.click("input[value=right]")
        assert len(browser.texts("article")) == round(8 * metrics["recall@1"])

        browser.open(pipeline / "metrics" / "report" / "index.html")
        assert len(browser.texts(".failures li")) == 8 - round(8 * metrics["recall@1"])
        assert browser.run("COUNTS.flat().reduce((sum, count) => sum + count)") == 8

        browser.open(pipeline / "dvc_plots" / "index.html")
        browser.wait("document.querySelectorAll('.mark-line path').length >= 3")
        titles = browser.run(
            "[...document.querySelectorAll('.role-title')].map(t => t.textContent)"
        )
        assert {
            "Recall at N", "Recall by radius", "Known or unknown place",
            "Error of the first prediction", "Training loss",
        } <= set(titles)  # fmt: skip
        assert browser.run("document.images.length") == 8 - round(8 * metrics["recall@1"])
        assert browser.load_images() == []
        assert browser.complaints(warnings=False) == []  # Vega warns of its own versions
