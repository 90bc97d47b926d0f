"""Lines through the matrix equal a literal walk along them, and stop at every break."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.route_files import order_along_route
from tests.support.unit_rows import as_unit, unit_rows
from vpr.places.index import ImageIndex, find_recordings, save_index
from vpr.retrieval import sequences
from vpr.retrieval.descriptors import save_descriptors
from vpr.retrieval.predictions import Predictions, save_predictions
from vpr.retrieval.ranking import rank_database
from vpr.retrieval.sequences import (
    enhance_contrast,
    find_distances,
    matrix_of_rankings,
    rank_descriptors,
    rank_lines,
    score_lines,
)

VELOCITIES = (0.7, 1.0, 1.6, -1.0)


def random_matrix(num_queries: int, num_database: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num_queries, num_database))


def walk(
    matrix: np.ndarray, query: list[str], database: list[str], *, length: int, top_k: int
) -> list[list[int]]:
    """The ranking of each query by walking every line point by point, by the definition."""
    ranked = []
    for q in range(len(query)):
        scores = []
        for j in range(len(database)):
            means = []
            for velocity in VELOCITIES:
                values = []
                for offset in range(-(length // 2), length - length // 2):
                    row, column = q + offset, j + math.floor(velocity * offset + 0.5)
                    inside = 0 <= row < len(query) and 0 <= column < len(database)
                    if inside and query[row] == query[q] and database[column] == database[j]:
                        values.append(matrix[row, column])
                means.append(sum(values) / len(values))
            scores.append((-max(means), j))
        ranked.append([j for _, j in sorted(scores)[:top_k]])
    return ranked


@pytest.mark.parametrize("length", [1, 2, 5, 40])
@pytest.mark.parametrize("block", [256, 3])
def test_ranking_by_lines_equals_walking_them_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, length: int, block: int
) -> None:
    monkeypatch.setattr(sequences, "BLOCK_QUERIES", block)
    query, database = ["a"] * 7 + ["b"] * 4 + ["a"] * 1, ["x"] * 2 + ["y"] * 9
    query[-1] = "c"  # names that differ, so that the walk needs no runs
    matrix = random_matrix(len(query), len(database))
    ranked = rank_lines(
        lambda rows: matrix[rows], find_recordings(query, len(query)),
        find_recordings(database, len(database)), length=length, velocities=VELOCITIES, top_k=6,
    )  # fmt: skip
    assert ranked.tolist() == walk(matrix, query, database, length=length, top_k=6)


def test_a_line_by_hand() -> None:
    matrix = np.array([[9, 0, 0, 0], [0, 0, 3, 0], [0, 0, 6, 0]], dtype=np.float64)
    scores = score_lines(matrix, length=3, velocities=[1.0])
    assert scores[1, 1] == (9 + 0 + 6) / 3  # the diagonal through it
    assert scores[0, 0] == (9 + 0) / 2  # the query before it is not there
    assert scores[1, 3] == (0 + 0) / 2  # the image behind it is not there
    doubled = score_lines(matrix, length=3, velocities=[2.0])
    assert doubled[1, 2] == (9 + 3) / 2  # from image 0 over image 2 to image 4, which is not there
    both = score_lines(matrix, length=3, velocities=[1.0, 2.0])
    assert both[1, 2] == 6  # the better of the two: 3 at velocity 1


@pytest.mark.parametrize("reach", [None, 2])
def test_contrast_equals_a_loop_over_the_surroundings(reach: int | None) -> None:
    # Two recordings that alternate, of 7 and 5 images, then one of 2, which is too short.
    matrix = random_matrix(3, 14)
    runs = [np.array([0, 2, 4, 6, 8, 10, 11]), np.array([1, 3, 5, 7, 9]), np.array([12, 13])]
    ours = enhance_contrast(matrix, runs, reach=reach)
    for q in range(3):
        for run in runs:
            for place, j in enumerate(run):
                local = reach is not None and len(run) >= 5
                near = run[max(place - 2, 0) : place + 3] if local else range(14)
                around = [matrix[q, k] for k in near]
                expected = (matrix[q, j] - np.mean(around)) / (np.std(around) + 1e-6)
                assert ours[q, j] == pytest.approx(expected, abs=1e-9)
    blank = enhance_contrast(np.full((1, 14), 0.5), runs, reach=reach)
    np.testing.assert_allclose(blank, 0, atol=0.1)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_contrast_within_recordings_too_short_for_it_does_not_scramble_them(size: int) -> None:
    # Each query is nearly an image; single images find it, and so must lines of one.
    database, noise = unit_rows(30, 16, 0), unit_rows(30, 16, 1)
    query = as_unit(database + 0.3 * noise)
    assert rank_database(database, query, top_k=1)[0].ravel().tolist() == list(range(30))
    names = [str(image // size) for image in range(30)]
    ranked = rank_descriptors(
        database, query, find_recordings(names, 30), find_recordings(names, 30),
        length=1, velocities=[1.0], reach=5, top_k=1,
    )  # fmt: skip
    assert ranked.ravel().tolist() == list(range(30))


def test_a_few_lone_images_beside_a_long_recording_are_found_and_hide_none() -> None:
    database, noise = unit_rows(60, 64, 0), unit_rows(60, 64, 1)
    query = as_unit(database + 0.3 * noise)
    names = ["drive"] * 40 + [f"photo {image}" for image in range(20)]
    ranked = rank_descriptors(
        database, query, find_recordings(names, 60), find_recordings(names, 60),
        length=5, velocities=[1.0], reach=5, top_k=1,
    )  # fmt: skip
    assert ranked.ravel().tolist() == list(range(60))


def test_rows_of_two_cameras_that_alternate_rank_as_one_camera_after_the_other() -> None:
    """The order of the rows does not change a score, only which index an image has."""
    database, query = unit_rows(24, 16, 0), unit_rows(20, 16, 1)
    rows = [np.r_[0:n:2, 1:n:2] for n in (24, 20)]  # first all of the left camera, then the right
    sides = [["left", "right"] * 12, ["left", "right"] * 10]

    def rank(database: np.ndarray, query: np.ndarray, names: list[list[str]]) -> np.ndarray:
        recordings = [find_recordings(side, len(side)) for side in names]
        return rank_descriptors(
            database, query, recordings[1], recordings[0],
            length=5, velocities=[1.0], reach=5, top_k=24,
        )  # fmt: skip

    sorted_names = [[side[row] for row in order] for side, order in zip(sides, rows, strict=True)]
    one_after_another = rank(database[rows[0]], query[rows[1]], sorted_names)
    alternating = rank(database, query, sides)
    np.testing.assert_array_equal(alternating[rows[1]], rows[0][one_after_another])


@pytest.mark.parametrize("velocity", [2.3, -2.3, 0.7, 2.55])
def test_a_line_rounds_what_is_written_not_its_binary_fraction(velocity: float) -> None:
    # 2.3 * 25 = 57.5 is image 58; in binary it is a little less.
    length, row = 103, 51
    for offset in (-50, -25, -5, 25, 45, 50):
        shift = math.floor(Fraction(str(velocity)) * offset + Fraction(1, 2))
        matrix = np.zeros((length, 400))
        matrix[row + offset, 200 + shift] = length
        assert score_lines(matrix, length=length, velocities=[velocity])[row, 200] == 1
    if velocity == 2.3:
        assert math.floor(Fraction("2.3") * 25 + Fraction(1, 2)) == 58


def test_rankings_count_down_from_one_and_images_not_named_count_nothing() -> None:
    assert matrix_of_rankings(np.array([[2, 0], [1, 2]]), 4).tolist() == [
        [0.5, 0, 1, 0], [0, 1, 0.5, 0],
    ]  # fmt: skip


def test_a_line_of_one_ranks_as_the_search_does_with_its_distances() -> None:
    database, query = unit_rows(30, 16, 0), unit_rows(8, 16, 1)
    expected = rank_database(database, query, top_k=5)
    ours = rank_descriptors(
        database, query, [np.arange(8)], [np.arange(30)],
        length=1, velocities=[1.0], reach=None, top_k=5,
    )  # fmt: skip
    np.testing.assert_array_equal(ours, expected[0])
    np.testing.assert_array_equal(find_distances(database, query, ours), expected[1])


@pytest.fixture
def route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A drive and the same again in noise that single images do not stand; its first image."""
    monkeypatch.chdir(tmp_path)
    database = unit_rows(60, 16, 0)
    query = as_unit(database[10:50] + 1.2 * unit_rows(40, 16, 1))
    for name, rows in (("database", database), ("query", query)):
        save_descriptors(Path(f"{name}.npy"), iter([rows]), num_images=len(rows))
        # Nothing in coordinates tells where a query was: they are all the same.
        index = ImageIndex([f"{n}.jpg" for n in range(len(rows))], np.zeros((len(rows), 2)))
        save_index(Path(f"{name}.csv"), index)
    found = rank_database(database, query, top_k=5)
    save_predictions(Path("alone.npz"), Predictions(*found, len(database)))
    return np.arange(10, 50)


def test_off_is_the_same_file_and_on_finds_what_single_images_do_not(route: np.ndarray) -> None:
    alone = order_along_route("method: lines, length: 1, velocities: [0.8, 1.0]")
    assert Path("along.npz").read_bytes() == Path("alone.npz").read_bytes()
    along = order_along_route("method: lines, length: 7, velocities: [0.8, 1.0]")
    assert along.indices.shape == alone.indices.shape
    assert np.mean(alone.indices[:, 0] == route) < 0.95
    assert np.mean(along.indices[:, 0] == route) == 1
