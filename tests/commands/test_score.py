"""`python -m vpr score`: published results are checked without images."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from typer.testing import CliRunner

from vpr.__main__ import app
from vpr.datasets.dbstruct import parse_dbstruct, save_dbstruct
from vpr.places.index import ImageIndex
from vpr.retrieval.predictions import Predictions, save_predictions, save_submission

# Query 0 lies on image 0 (0 m); query 1 is 5 m from image 2, the edge; query 2 is near nothing.
DATABASE = ImageIndex(list("abcd"), np.array([[0.0, 0], [20, 0], [40, 0], [60, 0]]))
QUERY = ImageIndex(list("xyz"), np.array([[0.0, 0], [43, 4], [900, 0]]))
RANKING = [[0, 1], [3, 2], [1, 0]]

pytestmark = pytest.mark.usefixtures("mat_files_read_once")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    save_dbstruct(tmp_path / "a.mat", database=DATABASE, query=QUERY, radius_m=5)
    return tmp_path / "a.mat"


def ask(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return str(done.exception) if done.exception and code == 1 else done.output


def score_of(file: Path, truth: Path, *more: object) -> dict[str, float]:
    found: dict[str, float] = json.loads(
        ask("--predictions", file, "--truth", truth, "--json", *more)
    )
    return found


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_three_forms_give_the_same_score_known_by_hand(truth: Path, tmp_path: Path) -> None:
    distances = np.tile(np.array([0.1, 0.2], np.float32), (3, 1))
    ours = Predictions(np.array(RANKING), distances, 4)
    save_predictions(tmp_path / "p.npz", ours)
    save_submission(tmp_path / "submit.json", ours)
    plain = write(tmp_path / "list.json", {"recalls": "ours", "predictions": RANKING})
    for file in (tmp_path / "p.npz", tmp_path / "submit.json", plain):
        assert score_of(file, truth, "--n", "1,2") == {
            "recall@1": pytest.approx(1 / 3), "recall@2": pytest.approx(2 / 3),
            "recall@1_answerable": 0.5, "recall@2_answerable": 1.0,
            "num_queries": 3, "num_queries_answerable": 2, "num_database": 4, "radius_m": 5.0,
        }  # fmt: skip


def test_the_table_names_both_denominators(truth: Path, tmp_path: Path) -> None:
    told = ask("--predictions", write(tmp_path / "a.json", {"predictions": RANKING}),
               "--truth", truth)  # fmt: skip
    lines = [line.split() for line in told.splitlines()]
    assert lines[0] == [
        "3",
        "queries,",
        "4",
        "database",
        "images,",
        "positives",
        "within",
        "5",
        "m",
    ]
    assert lines[1:3] == [["all", "queries", "with", "a", "positive"], ["of", "3", "of", "2"]]
    assert lines[3:] == [["recall@1", "33.33", "%", "50.00", "%"]]  # two deep: no recall@5


def test_sequences_from_rankings_alone_stand_beside_single_images(tmp_path: Path) -> None:
    places = np.stack([np.arange(6) * 10.0, np.zeros(6)], axis=1)
    names = [f"{n}.jpg" for n in range(6)]
    save_dbstruct(tmp_path / "r.mat", database=ImageIndex(names, places),
                  query=ImageIndex(names, places), radius_m=1)  # fmt: skip
    # Query 2 has its place second, and query 4 not at all: the drive through both tells.
    rankings = [[0, 5], [1, 5], [1, 2], [3, 0], [5, 0], [5, 2]]
    file = write(tmp_path / "r.json", {"predictions": rankings})
    found = score_of(file, tmp_path / "r.mat", "--sequence", 3, "--velocity", 1)
    assert found["recall@1"] == pytest.approx(4 / 6)
    assert found["sequence_recall@1"] == 1
    backwards = score_of(file, tmp_path / "r.mat", "--sequence", 3, "--velocity", -1)
    assert backwards["sequence_recall@1"] < 1
    asked = ("--predictions", file, "--truth", tmp_path / "r.mat", "--sequence", 3)
    text = ask(*asked, "--velocity", 1)
    assert "another protocol" in text
    assert "66.67 %" in text and "100.00 %" in text


def test_the_radius_can_be_another_and_its_edge_counts(truth: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    assert score_of(file, truth, "--radius", "4.999", "--n", "2")["num_queries_answerable"] == 1
    assert score_of(file, truth, "--radius", "23.4", "--n", "1")["recall@1"] == pytest.approx(2 / 3)


def test_minus_one_is_a_miss_and_never_the_last_image(truth: Path, tmp_path: Path) -> None:
    near_last = ImageIndex(["q"], np.array([[60.0, 0]]))
    save_dbstruct(truth, database=DATABASE, query=near_last, radius_m=5)
    for ranking, recall in (([-1, 0], 0.0), ([0, -1], 0.0), ([-1, 3], 1.0), ([0], 0.0)):
        file = write(tmp_path / "a.json", {"predictions": [ranking]})
        assert score_of(file, truth, "--n", len(ranking))[f"recall@{len(ranking)}"] == recall


def test_entries_of_a_submission_go_by_their_ids(truth: Path, tmp_path: Path) -> None:
    entries = [{"id": query, "positive": RANKING[query]} for query in (2, 0, 1)]
    file = write(tmp_path / "a.json", {"Query": entries})
    assert score_of(file, truth, "--n", "2")["recall@2"] == pytest.approx(2 / 3)


def test_truth_in_another_form_than_mat(tmp_path: Path) -> None:
    for name, side in (("database.csv", DATABASE), ("query.csv", QUERY)):
        rows = [
            f"{path},{x},{y}" for path, (x, y) in zip(side.paths, side.coordinates, strict=True)
        ]
        (tmp_path / name).write_text("\n".join(["path,easting,northing", *rows]) + "\n")
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    for truth in (tmp_path, tmp_path / "database.csv"):
        assert score_of(file, truth, "--radius", 5, "--n", "1")["recall@1"] == pytest.approx(1 / 3)
    message = ask("--predictions", file, "--truth", tmp_path, code=1)
    assert "--radius: expected metres above 0, found None" in message


def test_database_images_that_look_elsewhere_are_no_positives(tmp_path: Path) -> None:
    headings = {"database.csv": [0, 90, 180, 350], "query.csv": [20, 10, 0]}
    for (name, looks), side in zip(headings.items(), (DATABASE, QUERY), strict=True):
        rows = [
            f"{path},{x},{y},{heading}"
            for path, (x, y), heading in zip(side.paths, side.coordinates, looks, strict=True)
        ]
        (tmp_path / name).write_text("\n".join(["path,easting,northing,heading", *rows]) + "\n")
    apart = np.hypot(*(QUERY.coordinates[:, None] - DATABASE.coordinates).transpose(2, 0, 1))
    turns = np.abs(np.subtract.outer(headings["query.csv"], headings["database.csv"]))
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    for most in (180, 45, 20):
        positive = (apart <= 5) & (np.minimum(turns, 360 - turns) <= most)
        right = np.mean([positive[query, first] for query, (first, *_) in enumerate(RANKING)])
        found = score_of(file, tmp_path, "--radius", 5, "--max-heading", most, "--n", "1")
        assert found["recall@1"] == pytest.approx(right)
        assert found["num_queries_answerable"] == positive.any(axis=1).sum()
    (tmp_path / "query.csv").write_text(
        (tmp_path / "query.csv").read_text().replace("heading", "yaw")
    )
    asked = ["--predictions", file, "--truth", tmp_path, "--radius", 5, "--max-heading", 45]
    assert "has no headings of its query images" in ask(*asked, code=1)
    assert "msls-val counts positions alone" in ask(*asked, "--protocol", "msls-val", code=1)


def name_lists(tmp_path: Path) -> Path:
    """The same places under names that a person gives: Korean, a folder, a space."""
    database = ImageIndex([f"db/거리 {letter}.jpg" for letter in "abcd"], DATABASE.coordinates)
    query = ImageIndex([f"query/{letter}.jpg" for letter in "xyz"], QUERY.coordinates)
    save_dbstruct(tmp_path / "names.mat", database=database, query=query, radius_m=5)
    return tmp_path / "names.mat"


def test_pairs_of_hloc_are_scored_by_their_names_in_any_order_of_queries(tmp_path: Path) -> None:
    truth = name_lists(tmp_path)
    lines = [
        f"query/{'xyz'[query]}.jpg db/거리 {'abcd'[image]}.jpg"
        for query in (2, 0, 1)
        for image in RANKING[query]
    ]
    file = tmp_path / "pairs-query-netvlad2.txt"
    for text in ("\n".join(lines), normalize("NFD", "\r\n".join(lines).replace("db/", "db\\"))):
        file.write_text(text, "utf-8")
        found = score_of(file, truth, "--n", "1,2")
        assert (found["recall@1"], found["recall@2"]) == pytest.approx((1 / 3, 2 / 3))


def test_the_retrieval_form_has_a_line_for_each_query(truth: Path, tmp_path: Path) -> None:
    file = tmp_path / "retrieval.txt"
    file.write_text("# query and its ranking\nx a b\ny d c\n\nz b a\n")
    assert score_of(file, truth, "--n", "2")["recall@2"] == pytest.approx(2 / 3)
    file.write_text("x a b c\ny d\nz b a\n")  # short rankings end early
    assert score_of(file, truth, "--n", "3")["recall@3"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x a\ny b\n", "ranks 2 queries, but the ground truth has 3: missing are z"),
        ("x a\nw b\nz c\n", "line 2: 'w' is not a query of the ground truth, whose first is 'x'"),
        ("x a\ny e\nz c\n", "line 2: expected names of database images, such as 'a'"),
        ("x a 0.93\ny b 0.5\nz c 0.1\n", "found '0.93'"),
        ("x a\nx a\ny b\nz c\n", "query 0: the ranking has a database image twice"),
        ("# kapture format: 1.0\nx, a, 0.93\n", "line 2: 'x,' is not a query of the ground truth"),
        ("", "ranks 0 queries, but the ground truth has 3"),
    ],
)
def test_text_that_does_not_fit_is_told_by_line_and_name(
    truth: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "bad.txt").write_text(text)
    message = ask("--predictions", tmp_path / "bad.txt", "--truth", truth, code=1)
    assert message.startswith(str(tmp_path / "bad.txt"))
    assert words in message


def test_a_truth_in_degrees_is_refused_and_one_that_says_nothing_is_told(tmp_path: Path) -> None:
    places = np.stack([13.36123 + 1e-4 * np.arange(4), np.full(4, 52.50012)], axis=1)
    save_dbstruct(tmp_path / "deg.mat", database=ImageIndex(list("abcd"), places),
                  query=ImageIndex(list("xyz"), places[:3]), radius_m=25)  # fmt: skip
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    message = ask("--predictions", file, "--truth", tmp_path / "deg.mat", code=1)
    assert message.startswith(f"--truth {tmp_path / 'deg.mat'}: every database image is a positive")
    assert "they look like degrees" in message

    save_dbstruct(tmp_path / "a.mat", database=DATABASE, query=QUERY, radius_m=2000)
    asked = ("--predictions", file, "--truth", tmp_path / "a.mat")
    assert "NOTE positives: every database image is a positive of every query" in ask(*asked)
    (note,) = json.loads(ask(*asked, "--json"))["notes"]
    assert "recall is 1 for any model" in note
    message = ask(*asked, "--radius", "0.001", "--n", "1")
    assert "33.33 %" in message


def test_foreign_files_beside_the_truth_are_counted_and_named(tmp_path: Path) -> None:
    for side, places in (("database", DATABASE), ("queries", QUERY)):
        (tmp_path / "set" / side).mkdir(parents=True)
        for east, north in places.coordinates.tolist():
            (tmp_path / "set" / side / f"@{east}@{north}@.jpg").touch()
    (tmp_path / "set/queries/gt.txt").touch()
    file = write(tmp_path / "a.json", {"predictions": [[0]] * 3})
    told = ask("--predictions", file, "--truth", tmp_path / "set", "--radius", 5)
    assert "queries: left out 1 files: 1 .txt ('gt.txt'); only JPEG" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"predictions": RANKING[:2]}, "ranks 2 queries, but the ground truth has 3"),
        ({"predictions": [[0], [4], [0]]}, "query 1: index 4 is not one of the 4 database images"),
        ({"predictions": [[1], [4], [2]]}, "0 to 3: does the file count from 1?"),
        ({"predictions": [[0], [-2], [0]]}, "query 1: index -2 is not one of the 4"),
        ({"predictions": [[0], [10**30], [0]]}, "is not one of the 4"),
        ({"predictions": [[0, 0], [1], [2]]}, "query 0: the ranking has a database image twice"),
        (
            {"predictions": [[0], [1.0], [2]]},
            "predictions[1][0] = 1.0: Input should be",
        ),
        ({"predictions": [[0], 1, [2]]}, "predictions[1] = 1: Input should be a valid array"),
        (
            {"predictions": [[0], [True], [2]]},
            "predictions[1][0] = True: Input should be",
        ),
        ({"predictions": [[], [], []]}, "holds no predictions"),
        ({"predictions": "all"}, "expected a submission"),
        ([RANKING], "expected a submission"),
        ({"Query": [{"id": 0}]}, "Query[0].positive = {'id': 0}: Field required"),
        ({"Query": [{"id": 0, "positive": [1]}] * 2}, "ids 0 to 1, each once: 1 is missing"),
        ({"Query": [{"id": "0", "positive": [1]}]}, "Query[0].id = '0': Input should be"),
        ({"Query": [{"id": i, "positive": [1]} for i in (0, 1, 3)]}, "each once: 2 is missing"),
        (
            {"Query": [{"id": i, "positive": [1]} for i in (1, 2, 3)]},
            "expected ids 0 to 2, each once: 0 is missing: do they count from 1?",
        ),
    ],
)
def test_what_is_no_ranking_of_the_set_is_refused(
    truth: Path, tmp_path: Path, content: object, words: str
) -> None:
    file = write(tmp_path / "bad.json", content)
    message = ask("--predictions", file, "--truth", truth, code=1)
    assert message.startswith(str(file))
    assert words in message


def test_a_file_that_may_count_from_1_is_noted(truth: Path, tmp_path: Path) -> None:
    from_0 = write(tmp_path / "0.json", {"predictions": RANKING})
    from_1 = write(tmp_path / "1.json", {"predictions": [[1, 2], [3, 2], [2, 1]]})
    asked = ("--truth", truth, "--predictions")
    assert "NOTE" not in ask(*asked, from_0)
    assert "no query ranks database image 0; if the file counts from 1" in ask(*asked, from_1)
    assert len(json.loads(ask(*asked, from_1, "--json"))["notes"]) == 1


def test_names_that_the_truth_has_twice_are_said_to_be_the_reason(tmp_path: Path) -> None:
    twice = ImageIndex(["x", "y", "x"], QUERY.coordinates)
    save_dbstruct(tmp_path / "t.mat", database=DATABASE, query=twice, radius_m=5)
    file = tmp_path / "pairs.txt"
    file.write_text("x a\ny c\nx b\n")
    message = ask("--predictions", file, "--truth", tmp_path / "t.mat", code=1)
    assert "'x' occurs 2 times on the query side of the ground truth" in message
    assert "missing" not in message


def test_unreadable_files_and_options_are_told(truth: Path, tmp_path: Path) -> None:
    for name, data in (("a.json", b"{"), ("b.npz", b"no zip"), ("c.txt", b"\xff\xfe"),
                       ("d.json", b"[" * 100_000)):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        message = ask("--predictions", tmp_path / name, "--truth", truth, code=1)
        assert str(tmp_path / name) in message
    file = write(tmp_path / "good.json", {"predictions": RANKING})
    for n, words in (("3", "N = [3]: expected 1 to 2"), ("0", "N = [0]"),
                     ("1,a", "--n: expected whole numbers")):  # fmt: skip
        assert words in ask("--predictions", file, "--truth", truth, "--n", n, code=1)
    for radius in ("0", "-1", "nan", "inf"):
        asked = ("--predictions", file, "--truth", truth, "--radius", radius)
        assert "--radius: expected metres above 0" in ask(*asked, code=1)
    assert "nowhere" in ask("--predictions", tmp_path / "nowhere", "--truth", truth, code=1)


def test_a_truth_that_is_not_there_is_named_by_its_option(truth: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    for path in (tmp_path / "nope.mat", tmp_path / "nodir/nope.mat"):
        message = ask("--predictions", file, "--truth", path, code=1)
        assert message == f"--truth {path}: there is no such file or folder"
    truth.unlink()
    for path in (tmp_path, file):
        message = ask("--predictions", file, "--truth", path, code=1)
        assert message.startswith(f"--truth {path}: ")


def test_velocities_are_finite_and_so_are_their_lines(truth: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", {"predictions": RANKING})
    asked = ("--predictions", file, "--truth", truth, "--sequence", 11, "--velocity")
    for velocity in ("inf", "-inf", "nan", "1e308"):
        message = ask(*asked, 1, "--velocity", velocity, code=1)
        assert message.startswith(f"--velocity {float(velocity)}: expected database images")
    assert "another protocol" in ask(*asked, "1e300")


def test_berlin_is_scored_as_a_plain_loop_scores_it(real_data: Path, tmp_path: Path) -> None:
    truth = parse_dbstruct(real_data / "berlin/berlin.mat")
    rng = np.random.default_rng(0)
    ranking = np.stack([rng.permutation(314)[:20] for _ in range(280)])
    hits = dict.fromkeys((1, 5, 10, 20), 0)
    for row, place in zip(ranking, truth.query.coordinates, strict=True):
        for n in hits:
            hits[n] += any(
                ((truth.database.coordinates[index] - place) ** 2).sum() <= 50.0**2
                for index in row[:n]
            )
    file = write(tmp_path / "a.json", {"predictions": ranking.tolist()})
    score = score_of(file, real_data / "berlin/berlin.mat")
    assert {n: score[f"recall@{n}"] * 280 for n in hits} == pytest.approx(hits)
    assert 0.1 < score["recall@20"] < 0.6  # chance is 0.34


def test_decimal_places_at_the_radius_count_as_written(tmp_path: Path) -> None:
    for name, start in (("database", "0"), ("query", "3")):
        rows = [f"{name}{n}.jpg,{n}.{start},0\n" for n in range(20)]
        (tmp_path / f"{name}.csv").write_text("path,easting,northing\n" + "".join(rows))
    perfect = write(tmp_path / "list.json", {"predictions": [[n] for n in range(20)]})
    for radius in (0.3, 1.3):
        found = score_of(perfect, tmp_path, "--radius", radius, "--n", 1)
        assert (found["num_queries_answerable"], found["recall@1"]) == (20, 1.0)


def test_what_no_ranking_on_a_line_names_is_not_found_by_sequences_either(tmp_path: Path) -> None:
    places = ImageIndex([f"{n}.jpg" for n in range(6)], np.stack([10.0 * np.arange(6)] * 2, axis=1))
    save_dbstruct(tmp_path / "r.mat", database=places, query=places, radius_m=5)
    nothing = {"Query": [{"id": n, "positive": [] if n else [0, 1, 2]} for n in range(6)]}
    file = write(tmp_path / "submit.json", nothing)
    found = score_of(file, tmp_path / "r.mat", "--sequence", 3, "--velocity", 1, "--n", "1,3")
    # Query 0 names 0, 1, 2 and so helps query 1 to 1, 2, 3; no other ranking names an image.
    assert found["recall@1"] == pytest.approx(1 / 6)
    assert found["sequence_recall@1"] == found["sequence_recall@3"] == pytest.approx(2 / 6)


def test_lines_follow_each_of_two_cameras_whose_rows_alternate(tmp_path: Path) -> None:
    for side in ("database", "query"):
        rows = [f"{side}{n}.jpg,{100 * n},0,{'left' if n % 2 == 0 else 'right'}" for n in range(12)]
        (tmp_path / f"{side}.csv").write_text("\n".join(["path,easting,northing,sequence", *rows]))
    # The third photo of the left camera has its place second, both its neighbours first.
    rankings = [[n, (n + 5) % 12] for n in range(12)]
    rankings[4] = [11, 4]
    file = write(tmp_path / "list.json", {"predictions": rankings})
    found = score_of(file, tmp_path, "--radius", 5, "--sequence", 3, "--velocity", 1, "--n", 1)
    assert (found["recall@1"], found["sequence_recall@1"]) == (pytest.approx(11 / 12), 1.0)
