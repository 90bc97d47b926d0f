"""The demo set repeats, has the challenge's form, and its drives share only the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.demo.drawing import draw_set
from vpr.demo.drives import VIEW_M, drive_by_day, drive_months_later
from vpr.demo.params import SampleParams
from vpr.demo.pictures import Picture, draw_facade, draw_ground
from vpr.demo.street import build_street

SIZE = (48, 36)


def draw(
    folder: Path,
    *,
    num_database: int = 3,
    num_query: int = 3,
    num_off_map: int = 0,
    seed: int = 0,
) -> dict[str, bytes]:
    draw_set(
        folder, num_database=num_database, num_query=num_query, num_off_map=num_off_map,
        length_m=200, size_px=SIZE, difficulty=0.5, seed=seed,
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
    more_queries = draw(tmp_path / "c", num_query=4, num_off_map=1)
    for name in first:
        other = more_database if name.startswith("queries") else more_queries
        assert other[name] == first[name]


def test_positions_are_metres_along_a_curve(tmp_path: Path) -> None:
    database, query = draw_set(
        tmp_path / "a", num_database=12, num_query=9, num_off_map=0, length_m=900, size_px=SIZE,
        difficulty=0.5, seed=0,
    )  # fmt: skip
    steps = np.diff(database.coordinates, axis=0)
    assert np.hypot(*steps.T).sum() == np.clip(np.hypot(*steps.T).sum(), 600, 950)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert 0.1 < np.ptp(headings) < 2.5
    nearest = np.linalg.norm(query.coordinates[:, None] - database.coordinates, axis=2).min(axis=1)
    assert (nearest > 0.01).all()


def test_off_map_queries_are_at_both_ends_of_the_drive_and_see_nothing_of_the_map() -> None:
    rng = np.random.default_rng(2)
    database = [shot.along_m for shot in drive_by_day(40, 400, rng)]
    later = drive_months_later(12, 400, num_off_map=5, difficulty=0.5, rng=rng)
    for number, along in enumerate(shot.along_m for shot in later):
        if number < 2:  # what it shows ends before the first place that the database shows
            assert along + VIEW_M < database[0]
        elif number < 9:
            assert database[0] <= along <= database[-1]
        else:
            assert along > database[-1] + VIEW_M


def test_coordinates_of_off_map_queries_are_far_from_every_database_photo(tmp_path: Path) -> None:
    database, query = draw_set(
        tmp_path / "a", num_database=2, num_query=4, num_off_map=2, length_m=200, size_px=SIZE,
        difficulty=0.5, seed=0,
    )  # fmt: skip
    nearest = np.linalg.norm(query.coordinates[:, None] - database.coordinates, axis=2).min(axis=1)
    # 120 m along the street or more; on a curve, the chord is a little shorter.
    assert (nearest > 100).tolist() == [True, False, False, True]


def test_at_least_two_queries_stay_on_the_map() -> None:
    with pytest.raises(ValueError, match=r"sample\.off_map = 7.*sample\.num_query = 8"):
        SampleParams(4, 8, 7, 5.0, 25.0, 64, 48, 0.5, 0)


def test_no_two_houses_or_stretches_of_ground_look_alike() -> None:
    """Correlation of small patches: the drawn street once repeated its textures to the pixel."""
    street = build_street(150, np.random.default_rng(3))
    grounds = [patches(draw_ground(street.ground, number)) for number in range(6)]
    for pictures in ([patches(draw_facade(house)[0]) for house in street.buildings], grounds):
        rows = np.concatenate(pictures)
        alike = rows @ rows.T
        of = np.repeat(np.arange(len(pictures)), [len(each) for each in pictures])
        assert alike[of[:, None] != of].max() < 0.99, alike[of[:, None] != of].max()
        assert np.allclose(np.diag(alike), 1)


def patches(picture: Picture) -> NDArray[np.float64]:
    """Unit rows of a picture's 32 x 32 patches, without their mean: what a descriptor sees."""
    grey = np.asarray(picture.reduced(1, 1).convert("L"), dtype=np.float64)
    height, width = (side // 32 for side in grey.shape)
    tiles = grey[: 32 * height, : 32 * width].reshape(height, 32, width, 32).swapaxes(1, 2)
    rows = tiles.reshape(-1, 1024) - tiles.reshape(-1, 1024).mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    shown = lengths[:, 0] > 300  # not of one colour
    unit: NDArray[np.float64] = rows[shown] / lengths[shown]
    return unit


def test_a_picture_is_reduced_by_powers_of_two_and_keeps_its_mean() -> None:
    picture = draw_ground(5, 0)
    reduced = picture.reduced(5.9, 2.0)
    assert reduced.size == tuple(
        -(-side // by) for side, by in zip(picture.size, (4, 2), strict=True)
    )
    assert np.allclose(np.asarray(reduced).mean(axis=(0, 1)), picture.mean, atol=1.5)
    assert picture.reduced(1e9, 0.1).size[0] == -(-picture.size[0] // 256)


def test_the_stage_writes_the_challenges_cell_form(pipeline: Path) -> None:
    truth = parse_dbstruct(pipeline / "data/sample/sample.mat")
    assert len(truth.database.paths) == 12
    assert all((pipeline / "data/sample" / name).is_file() for name in truth.query.paths)
