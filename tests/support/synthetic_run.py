"""What a finished run leaves behind, made up: predictions, truth, tables and small pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from stages.report import report
from tests.support.repositories import ROOT
from vpr.evaluation.calibration import Judgement
from vpr.evaluation.query_table import tabulate_queries
from vpr.images.thumbnails import thumbnail_name
from vpr.places.index import ImageIndex, save_index
from vpr.places.positives import save_positives
from vpr.places.radius import find_positives
from vpr.reranking.utility_files import Utility, save_utility
from vpr.reranking.verified_pairs import VerifiedPairs, save_verified
from vpr.retrieval.predictions import Predictions, save_predictions

DETAILS = {
    "average_precision": 0.5, "accept_calibrated": True, "num_negatives": 400, "num_foreign": 20,
    "num_negatives_needed": 299, "accept_max_distance": 0.8, "map_false_acceptance_of": 420,
    "map_false_acceptance": 0.005, "map_false_acceptance_interval": [0.001, 0.0171],
    "circles_hold_of": 0, "share_known": 0.75, "share_unsure": 0.25, "share_unknown": 0.0,
    "foreign_known": 0.0, "foreign_unsure": 0.05, "foreign_unknown": 0.95,
}  # fmt: skip
HOSTILE = [
    "<script>document.title='owned'</script>.jpg",
    '"><img src=x onerror="document.title=\'owned\'">.jpg',
    "it's a photo & more.jpg",
    "한국어 사진 이름.jpg",
    "</script><b>bold</b>.jpg",
    "{{ 7 * 7 }} ${7 * 7}.jpg",
    "javascript:document.title='owned'",
]


def write_run(folder: Path, *, num_database: int, names: Sequence[str], size_px: int = 64) -> None:
    """Write a run in which every third query is answered wrong and every sixth is not accepted.

    Args:
        folder: An empty folder; the current one when the report is made.
        num_database: Database images.
        names: File names of the queries, which lie along the same line.
        size_px: Side of the small pictures.
    """
    along = np.linspace(0, 5.0 * (num_database - 1), len(names))
    database = ImageIndex(
        [f"db/{number}.jpg" for number in range(num_database)],
        np.stack([389_000 + 5.0 * np.arange(num_database), np.full(num_database, 5.818e6)], axis=1),
        heading=np.where(np.arange(num_database) % 4, 90.0, np.nan),
    )
    query = ImageIndex(
        list(names), np.stack([389_000 + along, np.full(len(names), 5.818e6 + 3)], axis=1)
    )
    nearest = np.round(along / 5).astype(np.int64)
    wrong = np.arange(len(names)) % 3 == 2
    unsure = np.arange(len(names)) % 6 == 5  # every second one of the wrong
    start = np.where(wrong, nearest + num_database // 2, nearest)
    indices = (start[:, None] + np.arange(8)) % num_database
    distances = (0.5 + 0.3 * wrong[:, None] + 0.01 * np.arange(8)).astype(np.float32)
    predictions = Predictions(indices, distances, num_database)
    positives = find_positives(database.coordinates, query.coordinates, radius_m=12)
    folder.mkdir(exist_ok=True)
    save_index(folder / "database.csv", database)
    save_index(folder / "query.csv", query)
    save_positives(folder / "positives.npz", positives)
    save_predictions(folder / "predictions.npz", predictions)
    verified = _verified(indices)
    save_verified(folder / "verified", verified)
    answers = [
        Judgement("unsure" if doubtful else "known", 0.9, (0.8, 1.0), at, np.ones(1), 5.0)
        for doubtful, at in zip(unsure.tolist(), query.coordinates, strict=True)
    ]
    table = tabulate_queries(
        predictions, positives, database, query, answers=answers,
        held_out=np.where(unsure, 0.5, 0.9), evidence=verified.of_predictions(predictions),
    )  # fmt: skip
    table.to_csv(folder / "queries.csv", index=False)
    _write_rest(folder)
    _write_utility(folder / "utility", num_database)
    for side, count in (("database", num_database), ("query", len(names))):
        (folder / side).mkdir()
        for number in range(count):
            shade = (number % 256, 90, 160 if side == "query" else 60)
            picture = Image.new("RGB", (size_px, size_px * 3 // 4), shade)
            picture.save(folder / side / thumbnail_name(number))


def _verified(indices: NDArray[np.int64]) -> VerifiedPairs:
    """Two inliers of each query and its first candidate, none with its second."""
    inliers = np.tile([2, 0], (len(indices), 1))
    places = np.array([[[0, 0], [32_768, 32_768]], [[32_768, 32_768], [0, 65_535]]], np.uint16)
    return VerifiedPairs(
        indices[:, :2], 3 * inliers, inliers, np.zeros(inliers.shape),
        np.tile(places, (len(indices), 1, 1)),
    )  # fmt: skip


def _write_utility(folder: Path, num_images: int) -> None:
    """Two clusters: of the first the left half, of the second, which is not kept, the right one."""
    kept = np.tile([True, False], (num_images, 1))
    maps = [np.array([[[0, 0, 1, 1]] * 3])] * num_images
    place = np.full((num_images, 2), 1.5)
    utility = Utility(np.array([0.5, 0.1]), np.array([False, True]), place, kept, maps)
    save_utility(folder, np.ones(4, dtype=bool), utility, bytes_each=136)


def _write_rest(folder: Path) -> None:
    (folder / "env.yaml").write_bytes((ROOT / "env.yaml").read_bytes())
    params = (ROOT / "params.yaml").read_text()
    assert "accept_by: inliers" in params
    (folder / "params.yaml").write_text(params.replace("accept_by: inliers", "accept_by: distance"))
    metrics = {"recall@1": 0.67, "recall@1_block_bootstrap": [0.5, 0.8], "num_queries": 9}
    (folder / "recall.json").write_text(json.dumps(metrics))
    words = "3 queries nearly equal <b>a database photo</b>"
    notes = [
        {"key": "protocol", "words": "st-lucia: 1,549 database images", "numbers": {}},
        {"key": "near_copies", "words": words, "numbers": {"queries": 3}},
    ]
    (folder / "details.json").write_text(json.dumps(DETAILS | {"notes": notes}))
    for name in ("curves", "model"):
        (folder / name).mkdir()
    (folder / "model" / "model.pt").write_bytes(b"weights")
    curves = {
        "curves/recall.csv": {"n": [1, 2], "recall": [0.67, 0.7]},
        "curves/precision_recall.csv": {
            "threshold": [0.5, 0.8], "precision": [1.0, 0.67], "recall": [0.67, 0.67],
            "num_accepted": [6, 9],
        },
        "curves/risk_coverage.csv": {"coverage": [0.5, 1.0], "risk": [0.0, 0.33]},
        "curves/map_errors.csv": {"false_rejection": [], "false_acceptance": []},
        "curves/errors.csv": {"top1_metres": [1.0, 500.0], "fraction_of_queries": [0.67, 1.0]},
        "model/loss.csv": {"epoch": [1, 2], "loss": [0.2, 0.1]},
    }  # fmt: skip
    for name, columns in curves.items():
        pd.DataFrame(columns).to_csv(folder / name, index=False)


def make_report() -> Path:
    """Run the stage report on the run in the current folder."""
    report(
        predictions=Path("predictions.npz"), verified=Path("verified"),
        positives=Path("positives.npz"),
        database=Path("database.csv"), query=Path("query.csv"), model=Path("model"),
        utility=Path("utility"), recall=Path("recall.json"), details=Path("details.json"),
        queries=Path("queries.csv"), curves=Path("curves"),
        database_thumbnails=Path("database"), query_thumbnails=Path("query"),
        params=Path("params.yaml"), environment=Path("env.yaml"),
        report=Path("report"), plots_page=Path("plots_page.html"),
    )  # fmt: skip
    return Path("report").resolve()
