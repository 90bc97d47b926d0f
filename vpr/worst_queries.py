"""Pictures of the worst queries, each beside its first predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from vpr.thumbnails import thumbnail_name

TILE_PX = (240, 180)  # of one picture; a photo of another shape is fitted in
FRAME_PX = 5
TEXT_PX = 26
RIGHT, WRONG, PLAIN = (26, 127, 55), (196, 38, 46), (110, 110, 110)


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
        captions = [
            f"{rank}: {metre:,.1f} m, {distance:.3f}"
            for rank, (metre, distance) in enumerate(
                zip(top["metres"][query], top["distance"][query], strict=True), start=1
            )
        ]
        sheet = draw_query(
            query, top["index"][query], captions, top["correct"][query],
            query_thumbnails=thumbnails / "query", database_thumbnails=thumbnails / "database",
        )  # fmt: skip
        sheet.save(folder / f"{place:02d}_query_{query}.jpg", quality=85)


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


def draw_query(
    query: int,
    ranking: Sequence[int],
    captions: Sequence[str],
    correct: Sequence[bool],
    *,
    query_thumbnails: Path,
    database_thumbnails: Path,
) -> Image.Image:
    """A query and its predictions in a row, each with a frame and a line of text.

    Args:
        query: Index of the query.
        ranking: Database indices, best first.
        captions: A line for each prediction.
        correct: Whether each is a positive: its frame is green, else red.
        query_thumbnails: Folder of the queries' pictures.
        database_thumbnails: Folder of the database's pictures.
    """
    width, height = TILE_PX
    sheet = Image.new("RGB", ((1 + len(ranking)) * width, height + TEXT_PX), "white")
    tiles = [(query_thumbnails, query, f"query {query}", PLAIN)] + [
        (database_thumbnails, image, caption, RIGHT if is_right else WRONG)
        for image, caption, is_right in zip(ranking, captions, correct, strict=True)
    ]
    draw = ImageDraw.Draw(sheet)
    for column, (folder, image, caption, colour) in enumerate(tiles):
        inside = (width - 2 * FRAME_PX - 4, height - 2 * FRAME_PX)
        with Image.open(folder / thumbnail_name(image)) as picture:
            framed = ImageOps.expand(ImageOps.pad(picture, inside), FRAME_PX, colour)
        sheet.paste(framed, (column * width + 2, 0))
        draw.text((column * width + 4, height + 4), caption, colour, ImageFont.load_default(15))
    return sheet
