"""Sets whose positions are unknown: nothing is right or wrong, and nothing says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.evaluate import evaluate
from tests.support.repositories import ROOT, set_key
from vpr.commands.summary import as_table
from vpr.datasets.checks import check_places
from vpr.datasets.findings import Level, save_notes
from vpr.datasets.ground_truth import GroundTruth, check_ground_truth
from vpr.datasets.tables import parse_tables
from vpr.evaluation.calibration import load_calibration
from vpr.places.index import ImageIndex, load_index, parse_index, save_index
from vpr.places.positives import load_positives, save_positives, save_radius
from vpr.places.radius import find_positives
from vpr.report.pages import as_script
from vpr.report.queries import describe_places, describe_predictions
from vpr.report.report import find_worst
from vpr.reranking.verified_pairs import NOTHING, save_foreign, save_verified
from vpr.retrieval.predictions import Predictions, save_predictions

KNOWN = "path,easting,northing\n0.jpg,1,2\n1.jpg,11,2\n2.jpg,21,2\n"
UNKNOWN = "path,sequence,time\na.jpg,x,\nb.jpg,x,\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "database.csv").write_text(KNOWN)
    (tmp_path / "query.csv").write_text(UNKNOWN)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    set_key(tmp_path, "rerank.method", "none")
    set_key(tmp_path, "evaluate.accept_by", "distance")
    return tmp_path


def test_a_table_of_paths_alone_has_no_places_and_stays_so(folder: Path) -> None:
    index = parse_index(folder / "query.csv")
    assert not index.has_places and index.coordinates.shape == (2, 2)
    save_index(folder / "saved.csv", index)
    assert (folder / "saved.csv").read_text() == "index,path,sequence\n0,a.jpg,x\n1,b.jpg,x\n"
    assert not load_index(folder / "saved.csv").has_places


def test_a_misspelt_column_is_not_taken_for_a_set_without_places(folder: Path) -> None:
    (folder / "query.csv").write_text("path,eastings,northing\na.jpg,1,2\n")
    with pytest.raises(ValueError, match="expected the columns"):
        parse_index(folder / "query.csv")


def test_such_a_set_is_usable_and_its_lack_is_said(folder: Path) -> None:
    truth = parse_tables(folder / "database.csv")
    check_ground_truth(truth, source="here")
    first, *others = check_places(truth, radius_m=25, crs=None)
    assert first.level is Level.LOUD and "query images are unknown" in first.words
    assert all(found.level < Level.LOUD for found in others)
    positives = find_positives(truth.database.coordinates, truth.query.coordinates, radius_m=25)
    assert positives.shape == (2, 3) and positives.nnz == 0


def test_evaluation_leaves_recall_out(folder: Path) -> None:
    truth = parse_tables(folder / "database.csv")
    ranked = Predictions(np.array([[2, 0], [1, 2]]), np.float32([[0.1, 0.2], [0.3, 0.4]]), 3)
    save_predictions(folder / "predictions.npz", ranked)
    save_verified(folder / "verified", NOTHING)
    places = truth.database.coordinates, truth.query.coordinates
    save_positives(folder / "positives.npz", find_positives(*places, radius_m=25))
    save_index(folder / "database.csv", truth.database)
    save_index(folder / "query.csv", truth.query)
    save_notes(folder / "notes.json", [])
    save_radius(folder / "radius.json", 25.0)
    save_foreign(folder / "foreign", [])
    evaluate(
        retrieved=folder / "predictions.npz", predictions=folder / "predictions.npz",
        verified=folder / "verified", sequenced=folder / "predictions.npz",
        positives=folder / "positives.npz", database=folder / "database.csv",
        query=folder / "query.csv", radius=folder / "radius.json", notes=folder / "notes.json",
        foreign=folder / "foreign", recall=Path("recall.json"), details=Path("details.json"),
        queries=Path("queries.csv"), curves=Path("curves"), calibration=Path("calibration.json"),
    )  # fmt: skip
    recall = json.loads(Path("recall.json").read_text())
    assert recall == {"num_queries": 2}
    assert as_table(recall, {}) == "2 queries; recall is left out: positions are unknown"
    assert json.loads(Path("details.json").read_text())["accept_calibrated"] is False
    assert load_calibration(Path("calibration.json")).circles_m["any"] is None
    table = pd.read_csv("queries.csv", dtype=str, keep_default_na=False)
    assert table["first_correct_rank"].tolist() == table["top1_metres"].tolist() == ["", ""]
    assert {len(pd.read_csv(file)) for file in Path("curves").iterdir()} == {0}
    first = describe_predictions(
        ranked, NOTHING, load_positives(folder / "positives.npz"), truth.database, truth.query,
        table, depth=2, by="distance",
    )  # fmt: skip
    assert first["metres"] == [[None, None], [None, None]]
    as_script([first, describe_places(truth.query, "EPSG:32633")])  # raises at NaN


def test_no_query_is_the_worst_where_no_error_is_known() -> None:
    top = {"metres": [[None], [3.0], [None]], "correct": [[False]] * 3, "positives": [0, 1, 0]}
    assert find_worst(top, count=3) == [1]


def test_one_unknown_place_among_known_ones_is_still_an_error() -> None:
    index = ImageIndex(["a", "b"], np.array([[1.0, 2.0], [np.nan, 2.0]]))
    whole = ImageIndex(["c"], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="are not finite"):
        check_ground_truth(GroundTruth(whole, index, 25.0, "made"), source="here")
