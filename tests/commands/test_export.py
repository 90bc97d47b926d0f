"""A ranking written as hloc's pairs is read back as the same ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpr.commands.export import write_pairs
from vpr.commands.score.rankings import parse_rankings
from vpr.places.index import ImageIndex, save_index
from vpr.retrieval.predictions import Predictions, save_predictions

RANKING = np.array([[2, 0], [1, 2]])


def save_run(folder: Path, queries: list[str], database: list[str]) -> dict[str, Path]:
    """Write the tables of a run and its ranking."""
    files = {name: folder / f"{name}.csv" for name in ("query", "database")}
    for (_, file), names in zip(files.items(), (queries, database), strict=True):
        save_index(file, ImageIndex(names, np.zeros((len(names), 2))))
    distances = np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32)
    save_predictions(folder / "p.npz", Predictions(RANKING, distances, 3))
    return files


def test_pairs_are_lines_of_a_query_and_a_database_image_best_first(tmp_path: Path) -> None:
    queries, database = ["q/x.jpg", "q/길.jpg"], ["d/a.jpg", "d/b.jpg", "d/c.jpg"]
    files = save_run(tmp_path, queries, database)
    assert write_pairs(tmp_path / "pairs.txt", tmp_path / "p.npz", **files) == 4
    assert (tmp_path / "pairs.txt").read_text("utf-8").splitlines()[:2] == [
        "q/x.jpg d/c.jpg", "q/x.jpg d/a.jpg"
    ]  # fmt: skip
    read = parse_rankings(tmp_path / "pairs.txt", query=queries, database=database)
    np.testing.assert_array_equal(read, RANKING)


def test_a_name_with_a_space_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    files = save_run(tmp_path, ["x.jpg", "y.jpg"], ["a.jpg", "b c.jpg", "d.jpg"])
    with pytest.raises(ValueError, match=r"'b c.jpg': hloc splits lines at whitespace"):
        write_pairs(tmp_path / "pairs.txt", tmp_path / "p.npz", **files)
    assert not (tmp_path / "pairs.txt").exists()
    save_index(files["query"], ImageIndex(["x.jpg"], np.zeros((1, 2))))
    with pytest.raises(ValueError, match="have 1 and 3"):
        write_pairs(tmp_path / "pairs.txt", tmp_path / "p.npz", **files)
