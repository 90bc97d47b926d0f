"""Sheets of pictures: a photo and what was found for it, in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from vpr.images.image_files import Photo, read_image

TILE_PX = (240, 180)  # of one picture; a photo of another shape is fitted in
FRAME_PX = 5
TEXT_PX = 26
Colour = tuple[int, int, int]
RIGHT, WRONG, PLAIN = (26, 127, 55), (196, 38, 46), (110, 110, 110)


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet.

    Args:
        image: Its file.
        caption: A line of text below it.
        colour: Of frame and text, RGB.
    """

    image: Photo
    caption: str
    colour: Colour


def colour_of(correct: bool | None) -> Colour:
    """Green for right, red for wrong, grey for unknown."""
    if correct is None:
        return PLAIN
    return RIGHT if correct else WRONG


def sheet_size(*, num_rows: int, num_columns: int) -> tuple[int, int]:
    """Width and height in pixels of a sheet of so many pictures."""
    return num_columns * TILE_PX[0], num_rows * (TILE_PX[1] + TEXT_PX)


def draw_sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Draw rows of pictures, each with a frame and its line of text."""
    width, height = TILE_PX
    size = sheet_size(num_rows=len(rows), num_columns=max(len(row) for row in rows))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for line, row in enumerate(rows):
        for column, tile in enumerate(row):
            corner = (column * width + 2, line * (height + TEXT_PX))
            sheet.paste(_framed(tile), corner)
            draw.text((corner[0] + 2, corner[1] + height + 4), tile.caption, tile.colour, font)
    return sheet


def _framed(tile: Tile) -> Image.Image:
    width, height = TILE_PX
    inside = (width - 2 * FRAME_PX - 4, height - 2 * FRAME_PX)
    pixels = read_image(tile.image, scale_to=width)
    return ImageOps.expand(ImageOps.pad(Image.fromarray(pixels), inside), FRAME_PX, tile.colour)
