"""A run that re-ranks: what locate, the table of queries and the pages say of its inliers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests.support.browsing import chromium
from tests.support.repositories import change, run, set_key, stages_run
from vpr.reranking.verified_pairs import NOT_VERIFIED, load_verified
from vpr.retrieval.predictions import load_predictions


def locate(pipeline: Path, *options: str) -> list[dict]:
    photos = "data/sample/queries"
    words = run(pipeline, "python", "-m", "vpr", "locate", photos, "--json", *options)
    found: list[dict] = json.loads(words[words.index("[\n") : words.index("\n]\n") + 2])
    return found


def test_a_photo_is_verified_as_the_run_verified_its_queries(pipeline: Path) -> None:
    plain = locate(pipeline)
    assert "inliers" not in plain[0]["matches"][0]
    change(pipeline, "method: none", "method: sift")
    set_key(pipeline, "inliers.top", "4")
    set_key(pipeline, "rerank.top", "4")
    set_key(pipeline, "inliers.geometry", "homography")  # the photos are small
    change(pipeline, "half_inliers: 20.0", "half_inliers: 0.3")
    words = run(pipeline, "dvc", "repro")
    assert {"inliers", "order"} <= (ran := stages_run(words)) and "search" not in ran

    ranked = load_predictions(pipeline / "data/reranked.npz")
    verified = load_verified(pipeline / "data/verified")
    assert 8 <= verified.num_verified < verified.matches.size == 32  # `inliers.stop` is 1
    assert f"{verified.num_verified} pairs of 8 queries, 0 of them found in the store" in words
    table = pd.read_csv(pipeline / "metrics/queries.csv")
    first = verified.of_first(ranked)
    assert first is not None and table["top1_inliers"].tolist() == first.inliers.tolist()
    assert table["top1_log10_nfa"].tolist() == first.log10_nfa.tolist()
    assert table["accepted"].isna().all()  # by distance, and no query lies outside the map
    assert table["top1_inliers"].max() > 3
    found = locate(pipeline, "--html", "page.html", "--top", "3")
    for row, photo in enumerate(found):
        matches = photo["matches"]
        assert [match["image"] for match in matches] == ranked.indices[row, :3].tolist()
        evidence = [verified.evidence_of(row, match["image"]) for match in matches]
        told = [
            (match["inliers"], match["log10_nfa"]) if "inliers" in match else None
            for match in matches
        ]
        assert told == evidence
    # Of what the run did not verify nothing is said, and the order is the retrieval's.
    for row, photo in enumerate(locate(pipeline, "--top", "9")):
        matches = photo["matches"]
        assert [match["image"] for match in matches[:5]] == ranked.indices[row].tolist()
        count = int((verified.matches[row] != NOT_VERIFIED).sum())
        assert ["inliers" in match for match in matches] == [True] * count + [False] * (9 - count)
    page = (pipeline / "page.html").read_text(encoding="utf-8")
    assert page.count("What verifies the matches") == len(found) == 8

    with chromium() as browser:
        browser.open(pipeline / "metrics/report/gallery.html")
        best = int(np.argmax(table["top1_inliers"]))
        browser.run(f"document.querySelectorAll('article')[{best}].querySelector('button').click()")
        browser.wait("document.querySelectorAll('canvas').length === 1")
        drawn = browser.run(f"MATCHES[{best}][0].length")
        assert drawn == table["top1_inliers"][best]
        assert browser.complaints() == []

    change(pipeline, "accept_by: distance", "accept_by: inliers")
    assert stages_run(run(pipeline, "dvc", "repro")) == {"evaluate", "report"}
    details = json.loads((pipeline / "metrics/details.json").read_text())
    limit = details["accept_max_log10_nfa"]  # of the background model, which needs no negative
    assert details["accept_calibrated"] and details["num_negatives"] == 0
    decided = pd.read_csv(pipeline / "metrics/queries.csv")["accepted"].tolist()
    for photo, accepted in zip(locate(pipeline), decided, strict=True):
        assert photo["accepted"] is accepted is (photo["matches"][0]["log10_nfa"] <= limit)
    assert f"log10 NFA of {limit:.4g}" in (pipeline / "metrics/report/index.html").read_text()

    set_key(pipeline, "rerank.top", "2")
    ran = stages_run(run(pipeline, "dvc", "repro", "order"))
    assert ran == {"order"}
    # Another score may settle the first earlier or later; pairs are found by their content.
    change(pipeline, "half_inliers: 0.3", "half_inliers: 1.0")
    words = run(pipeline, "dvc", "repro")
    assert "inliers" in stages_run(words) and "found in the store" in words
    assert ", 0 of them" not in words
    ranked = load_predictions(pipeline / "data/reranked.npz")
    for row, photo in enumerate(locate(pipeline)):
        assert [match["image"] for match in photo["matches"]] == ranked.indices[row].tolist()


def test_inliers_are_asked_for_where_none_are_counted(pipeline: Path) -> None:
    change(pipeline, "accept_by: distance", "accept_by: inliers")
    words = run(pipeline, "dvc", "repro", code=255)
    assert "evaluate.accept_by = inliers: none are counted with rerank.method = none" in words
