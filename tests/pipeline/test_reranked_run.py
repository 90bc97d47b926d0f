"""A run that re-ranks: what locate, the table of queries and the pages say of its inliers."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vpr
from tests.support.browsing import chromium
from tests.support.repositories import change, run, set_key, stages_run
from vpr.evaluation.acceptance import limit_of_model
from vpr.reranking.verified_pairs import NOT_VERIFIED, load_foreign, load_verified
from vpr.retrieval.predictions import load_predictions

pytestmark = pytest.mark.long


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
    set_key(pipeline, "inliers.stop", "1")
    set_key(pipeline, "rerank.top", "4")
    set_key(pipeline, "inliers.geometry", "homography")  # the photos are small
    change(pipeline, "half_inliers: 20.0", "half_inliers: 0.3")
    words = run(pipeline, "dvc", "repro")
    assert {"inliers", "order"} <= (ran := stages_run(words)) and "search" not in ran

    ranked = load_predictions(pipeline / "data/reranked.npz")
    verified = load_verified(pipeline / "data/verified")
    assert 8 <= verified.num_verified < verified.matches.size == 32
    assert f"{verified.num_verified} pairs of 8 queries, 0 of them found in the store" in words
    table = pd.read_csv(pipeline / "metrics/queries.csv")
    evidence = verified.of_predictions(ranked)
    assert evidence is not None
    assert table["top1_inliers"].tolist() == evidence.inliers[:, 0].tolist()
    assert table["top1_log10_nfa"].tolist() == evidence.log10_nfa[:, 0].tolist()
    assert table["accepted"].isna().all()  # by distance, and no query lies outside the map
    assert table["top1_inliers"].max() > 3
    found = locate(pipeline, "--html", "page.html", "--top", "3")
    for row, photo in enumerate(found):
        matches = photo["matches"]
        assert [match["image"] for match in matches] == ranked.indices[row, :3].tolist()
        pairs = [verified.evidence_of(row, match["image"]) for match in matches]
        told = [
            (match["inliers"], match["log10_nfa"]) if "inliers" in match else None
            for match in matches
        ]
        assert told == pairs
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
    set_key(pipeline, "inliers.stop", "null")  # places are calibrated on wrong candidates, too
    # Photos from elsewhere are ranked and verified as queries: here they are two of them.
    elsewhere = pipeline / "away"
    elsewhere.mkdir()
    for number in (5, 6):
        shutil.copy(pipeline / f"data/sample/queries/{number:04d}.jpg", elsewhere / f"{number}.jpg")
    set_key(pipeline, "evaluate.foreign", "away")
    ran = stages_run(run(pipeline, "dvc", "repro", "evaluate"))
    assert ran == {"inliers", "order", "foreign", "evaluate"}
    ranked = load_predictions(pipeline / "data/reranked.npz")
    verified = load_verified(pipeline / "data/verified")
    assert verified.num_verified == 32
    evidence = verified.of_predictions(ranked)
    assert evidence is not None
    foreign = load_foreign(pipeline / "data/foreign_ranked")
    assert foreign is not None and foreign[0].indices.tolist() == ranked.indices[5:7].tolist()
    assert foreign[1].inliers.tolist() == verified.inliers[5:7].tolist()
    details = json.loads((pipeline / "metrics/details.json").read_text())
    assert details["accept_calibrated"] and details["num_foreign"] == 2
    strongest = table["top1_log10_nfa"][5:7].min()
    model = limit_of_model(0.01, num_candidates=4)
    limit = details["accept_max_log10_nfa"]  # of the model, until negatives show that it is lax
    assert limit == (model if strongest > model else np.nextafter(strongest, -np.inf))
    # The stage, the command and the API draw the same conclusion from the same photo.
    table = pd.read_csv(pipeline / "metrics/queries.csv")
    paths = [pipeline / f"data/sample/queries/{number:04d}.jpg" for number in range(8)]
    for photo, answer, (_, row) in zip(
        locate(pipeline), vpr.load_run(pipeline).locate_all(paths, top=1), table.iterrows(),
        strict=True,
    ):  # fmt: skip
        assert photo["state"] == answer.state == row["state"]
        assert photo["probability"] == answer.probability
        stated = row["probability"]  # of so few photos perhaps none
        expected = None if np.isnan(stated) else pytest.approx(stated, abs=1e-5)
        assert photo["probability"] == expected
        position = None if answer.position is None else asdict(answer.position)
        assert photo["position"] == position
        assert (row["state"] == "unknown") == (position is None)
    shutil.copy(pipeline / "data/sample/queries/0001.jpg", elsewhere / "more.jpg")
    assert "foreign" in run(pipeline, "dvc", "status", "foreign")
    run(pipeline, "dvc", "repro")
    assert "Is it this map? Of 3 photos" in (pipeline / "metrics/report/index.html").read_text()

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
