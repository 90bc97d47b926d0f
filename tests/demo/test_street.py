"""The demo set repeats, has the challenge's form, and its drives share only the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.demo.drawing import draw_set

SIZE = (48, 36)


def draw(folder: Path, *, num_database: int = 3, num_query: int = 3, seed: int = 0) -> dict:
    draw_set(
        folder, num_database=num_database, num_query=num_query, length_m=200, size_px=SIZE,
        difficulty=0.5, seed=seed,
    )  # fmt: skip
    files = sorted(folder.rglob("*.jpg"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_one_seed_repeats_and_another_differs(tmp_path: Path) -> None:
    first = draw(tmp_path / "a")
    assert first == draw(tmp_path / "b")
    other = draw(tmp_path / "c", seed=1)
    assert all(other[name] != first[name] for name in first)


def test_one_drive_does_not_know_of_the_other(tmp_path: Path) -> None:
    first = draw(tmp_path / "a")
    more_database = draw(tmp_path / "b", num_database=4)
    more_queries = draw(tmp_path / "c", num_query=4)
    for name in first:
        other = more_database if name.startswith("queries") else more_queries
        assert other[name] == first[name]


def test_positions_are_metres_along_a_curve(tmp_path: Path) -> None:
    database, query = draw_set(
        tmp_path / "a", num_database=12, num_query=9, length_m=900, size_px=SIZE, difficulty=0.5,
        seed=0,
    )  # fmt: skip
    steps = np.diff(database.coordinates, axis=0)
    assert np.hypot(*steps.T).sum() == np.clip(np.hypot(*steps.T).sum(), 600, 950)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert 0.1 < np.ptp(headings) < 2.5
    nearest = np.linalg.norm(query.coordinates[:, None] - database.coordinates, axis=2).min(axis=1)
    assert (nearest > 0.01).all()


def test_the_stage_writes_the_challenges_cell_form(pipeline: Path) -> None:
    truth = parse_dbstruct(pipeline / "data/sample/sample.mat")
    assert len(truth.database.paths) == 12
    assert all((pipeline / "data/sample" / name).is_file() for name in truth.query.paths)
