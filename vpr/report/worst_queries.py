"""Pictures of the worst queries, each beside its first predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.images.thumbnails import thumbnail_name
from vpr.report.sheets import PLAIN, Tile, colour_of, draw_sheet


def find_worst(metres: NDArray[np.float64], correct: NDArray[np.bool_], *, count: int) -> list[int]:
    """Queries whose first prediction is wrong and farthest away, the farthest first.

    Args:
        metres: Distance of the first prediction from the query, shape (num_queries,).
        correct: Whether it is a positive, same shape.
        count: At most so many.
    """
    wrong = np.flatnonzero(~correct)
    farthest = wrong[np.argsort(-metres[wrong], kind="stable")]
    return [int(query) for query in farthest[:count]]


def draw_worst(folder: Path, top: Mapping[str, Any], thumbnails: Path, *, count: int) -> None:
    """Write a picture of each of the worst queries: `00_query_17.jpg`, the worst first.

    Args:
        folder: The folder to create.
        top: Columns `index`, `metres`, `distance` and `correct` over queries, as the report's.
        thumbnails: Folder of both sides' pictures, `query` and `database`.
        count: At most so many.
    """
    folder.mkdir(parents=True)
    metres = np.array([row[0] for row in top["metres"]])
    correct = np.array([row[0] for row in top["correct"]])
    for place, query in enumerate(find_worst(metres, correct, count=count)):
        tiles = [Tile(thumbnails / "query" / thumbnail_name(query), f"query {query}", PLAIN)]
        columns = (top[name][query] for name in ("index", "metres", "distance", "correct"))
        for rank, (image, far, distance, right) in enumerate(zip(*columns, strict=True), start=1):
            file = thumbnails / "database" / thumbnail_name(image)
            tiles.append(Tile(file, f"{rank}: {far:,.1f} m, {distance:.3f}", colour_of(right)))
        draw_sheet([tiles]).save(folder / f"{place:02d}_query_{query}.jpg", quality=85)
