"""A published protocol is a set's whole contract: counts, radius, denominator, order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from stages.prepare import prepare
from vpr.__main__ import app
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.params import DatasetParams
from vpr.datasets.protocol_checks import Followed, follow_protocol
from vpr.datasets.protocols import PROTOCOLS
from vpr.places.index import ImageIndex
from vpr.places.positives import load_positives
from vpr.runtime.parameters import load_params


def index_of(places: NDArray[np.float64], name: str = "{}.jpg") -> ImageIndex:
    return ImageIndex([name.format(row) for row in range(len(places))], places)


def line(count: int, *, step: float = 1.0) -> NDArray[np.float64]:
    return np.stack([step * np.arange(count), np.zeros(count)], axis=1)


def write_tables(folder: Path, database: ImageIndex, query: ImageIndex) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table, side in (("database", database), ("query", query)):
        rows = [
            f"{path},{x},{y}" for path, (x, y) in zip(side.paths, side.coordinates, strict=True)
        ]
        (folder / f"{table}.csv").write_text("\n".join(["path,easting,northing", *rows]) + "\n")


def follow(database: ImageIndex, query: ImageIndex, name: str, **more: object) -> Followed:
    truth = GroundTruth(database, query, None, "by hand")
    return follow_protocol(truth, name, **{"asked_m": None, **more})  # type: ignore[arg-type]


# The stage prepare, on a stand-in of 200 + 200 frames.
PARAMS = """
dataset: {{dir: set, index: null, crs: null, protocol: {}}}
prepare: {{radius_m: {}, max_heading_deg: null}}
thumbnails: {{max_side_px: 16, quality: 50}}
"""


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two traverses of 200 frames without their images, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for side in ("database", "query"):
        (tmp_path / "set" / side).mkdir(parents=True)
    write_tables(
        tmp_path / "set",
        index_of(line(200), "database/{}.png"),
        index_of(line(200), "query/{}.png"),
    )
    return tmp_path / "set"


def run_prepare() -> None:
    prepare(
        database=Path("d.csv"), query=Path("q.csv"), positives=Path("p.npz"),
        training_positives=Path("t.npz"), database_images=Path("database"),
        query_images=Path("queries"), radius=Path("r.json"), notes=Path("n.json"),
        database_thumbnails=Path("dt"), query_thumbnails=Path("qt"),
    )  # fmt: skip


def test_prepare_takes_radius_and_name_from_the_protocol(frames: Path) -> None:
    for side in ("database", "query"):
        for row in range(200):
            Image.new("RGB", (4, 4), (row, 90, 90)).save(frames / side / f"{row}.png")
    Path("params.yaml").write_text(PARAMS.format("gardens-point", "null"))
    run_prepare()
    assert json.loads(Path("r.json").read_text()) == {"radius_m": 2}
    counts = np.diff(load_positives(Path("p.npz")).indptr)
    assert counts.tolist() == [3, 4, *[5] * 196, 4, 3]
    (note,) = [n for n in json.loads(Path("n.json").read_text()) if n["key"] == "protocol"]
    assert note["words"] == (
        "gardens-point: 200 database and 200 query images, positives at most 2 frames away, "
        "every query counts"
    )


@pytest.mark.parametrize("side", ["database", "query"])
def test_prepare_refuses_a_set_with_one_image_less_before_it_reads_any(
    frames: Path, side: str
) -> None:
    table = frames / f"{side}.csv"
    table.write_text("\n".join(table.read_text().split("\n")[:-2]))
    Path("params.yaml").write_text(PARAMS.format("gardens-point", "null"))
    things = {"database": "database images", "query": "queries"}[side]
    message = rf"protocol = gardens-point: expected 200 {things}, found 199 \(1 missing\)"
    with pytest.raises(ValueError, match=message):  # there is no image at all
        run_prepare()
    assert not Path("d.csv").exists()


def test_a_radius_that_contradicts_the_protocol_is_refused_by_its_key(frames: Path) -> None:
    Path("params.yaml").write_text(PARAMS.format("gardens-point", "5"))
    words = r"prepare.radius_m = 5, but dataset.protocol = gardens-point has a radius of 2"
    with pytest.raises(ValueError, match=words):
        run_prepare()
    places = index_of(line(200))
    with pytest.raises(ValueError, match=r"dataset.crs = EPSG:32633, but .* counts frames"):
        follow(places, places, "gardens-point", crs="EPSG:32633")
    assert follow(places, places, "gardens-point", asked_m=2.0).radius_m == 2


def test_a_misspelt_protocol_is_refused_with_the_name_meant(frames: Path) -> None:
    Path("params.yaml").write_text(PARAMS.format("gardens-pont", "null"))
    with pytest.raises(ValueError, match=r"dataset.protocol = 'gardens-pont'.*mean gardens-point"):
        load_params("dataset", DatasetParams)


# Without images: the protocols of published predictions.


@pytest.fixture(scope="module")
def pitts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in of pitts30k-test: every query 5 m from its own place, of 6,816."""
    folder = tmp_path_factory.mktemp("pitts")
    away = np.array([3.0, 4.0])
    write_tables(folder, index_of(line(10_000, step=60)), index_of(line(6_816, step=60) + away))
    rankings = [[row, row + 1] if row % 4 else [row + 1, row] for row in range(6_816)]
    (folder / "p.json").write_text(json.dumps({"predictions": rankings}))
    return folder


def score(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["score", *map(str, arguments)])
    return str(done.exception) if done.exception else done.output


def test_score_says_by_which_protocol_a_recall_is(pitts: Path) -> None:
    asked = ("--predictions", pitts / "p.json", "--truth", pitts, "--protocol", "pitts30k-test")
    found = json.loads(score(*asked, "--json"))
    assert found["recall@1"] == 0.75  # every fourth is wrong
    assert (found["protocol"], found["radius_m"]) == ("pitts30k-test", 25)
    assert score(*asked).startswith("protocol pitts30k-test: 10,000 database and 6,816 query")
    assert "--radius = 10, but --protocol = pitts30k-test has" in score(*asked, "--radius", 10)


def test_score_refuses_a_set_with_one_image_less(pitts: Path, tmp_path: Path) -> None:
    for table in ("database", "query"):
        rows = (pitts / f"{table}.csv").read_text().split("\n")
        (tmp_path / f"{table}.csv").write_text("\n".join(rows[:-2] if table == "query" else rows))
    asked = ("--predictions", pitts / "p.json", "--truth", tmp_path, "--protocol")
    assert "expected 6,816 queries, found 6,815 (1 missing)" in score(*asked, "pitts30k-test")
    assert "expected 75,984 database images, found 10,000" in score(*asked, "tokyo247")


def test_only_queries_with_a_positive_count_where_the_protocol_says_so(tmp_path: Path) -> None:
    database = line(18_871, step=60)
    query = database[:747] + np.where(np.arange(747) % 110 == 0, 1e7, 0)[:, None]  # 7 lie apart
    queries = replace(index_of(query), heading=np.arange(747.0) % 360)
    truth = GroundTruth(index_of(database), queries, 25, "by hand")
    kept = follow_protocol(truth, "msls-val", asked_m=None)
    assert len(kept.truth.query.paths) == 740
    assert kept.truth.query.heading is not None
    assert kept.truth.query.heading[[0, 108, 109]].tolist() == [1, 109, 111]  # 0 and 110 are out
    assert kept.truth.query.paths[:2] == ["1.jpg", "2.jpg"]
    assert kept.truth.query.coordinates[0].tolist() == [60, 0]
    again = follow_protocol(kept.truth, "msls-val", asked_m=None)  # the list of 740 is it too
    assert again.truth.query.paths == kept.truth.query.paths

    write_tables(tmp_path, truth.database, truth.query)
    rankings = [[row if row % 2 else row + 1] for row in range(747)]
    (tmp_path / "p.json").write_text(json.dumps({"predictions": rankings}))
    asked = ("--predictions", tmp_path / "p.json", "--truth", tmp_path, "--json")
    found = json.loads(score(*asked, "--protocol", "msls-val"))
    right = sum(row % 2 == 1 and row % 110 != 0 for row in range(747))
    assert found["recall@1"] == pytest.approx(right / 740)
    assert found["num_queries"] == 740

    near = GroundTruth(index_of(database), index_of(database[:747]), 25, "by hand")
    with pytest.raises(ValueError, match="expected 740 queries with a positive, found 747"):
        follow_protocol(near, "msls-val", asked_m=None)


def test_a_protocol_counts_positions_and_refuses_a_limit_of_headings() -> None:
    places = index_of(line(200, step=1))
    with pytest.raises(ValueError, match=r"prepare\.max_heading_deg = 45, .* set it to null"):
        follow(places, places, "gardens-point", max_heading_deg=45.0)


def test_frames_counted_in_another_unit_are_refused() -> None:
    diagonal = np.repeat(np.arange(27_592.0)[:, None], 2, axis=1)
    places = index_of(diagonal)
    assert follow(places, places, "nordland-patchnetvlad").radius_m == 10
    flat = index_of(line(27_592))
    with pytest.raises(ValueError, match=r"up to 15 positives per query .*, found 21 within 10"):
        follow(flat, flat, "nordland-patchnetvlad")


def test_swapped_sides_are_named_by_their_numbers_or_their_season() -> None:
    many, few = index_of(line(27_592)), index_of(line(2_760, step=10))
    assert follow(many, few, "nordland-1").radius_m == 1
    with pytest.raises(ValueError, match="database and queries are swapped"):
        follow(few, many, "nordland-1")
    names = {season: index_of(line(27_592, step=25 / 10.5), season + "/{}.png")
             for season in ("summer", "winter")}  # fmt: skip
    assert follow(names["summer"], names["winter"], "nordland-10").radius_m == 25
    with pytest.raises(ValueError, match="summer is the database, but its names say winter"):
        follow(names["winter"], names["summer"], "nordland-10")


def test_the_challenges_and_gardens_points_own_files_fit_their_protocol(real_data: Path) -> None:
    for folder, index, name in (
        ("berlin", "berlin.mat", "berlin-kudamm"),
        ("gardens_point", "day.mat", "gardens-point"),
    ):
        truth = parse_set(real_data / folder, index)
        found = follow_protocol(truth, name, asked_m=None)
        assert found.radius_m == truth.radius_m
        assert found.counted.all()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_states_its_rule_and_its_source(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.source
    assert (protocol.database is None) == (protocol.query is None)
    assert "positives" in protocol.describe()
    assert protocol.num_counted is None or protocol.num_counted < protocol.num_query
