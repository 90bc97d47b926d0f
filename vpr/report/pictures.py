"""Pictures: heat maps over photos, verified matches, and sheets of photos in rows."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from vpr.images.image_files import Photo, read_image

HEAT = (255, 80, 0)
DOT_PX = 2  # radius of a matched point
TILE_PX = (240, 180)  # of one picture of a sheet; a photo of another shape is fitted in
FRAME_PX = 5
TEXT_PX = 26
Colour = tuple[int, int, int]
RIGHT, WRONG, PLAIN = (26, 127, 55), (196, 38, 46), (110, 110, 110)


def overlay(photo: NDArray[np.uint8], heat: NDArray[np.float32]) -> Image.Image:
    """Draw a greyed photo on which warm places glow, the warmest most.

    Args:
        photo: RGB of shape (H, W, 3).
        heat: Any grid over the photo; what is below 0 does not glow.
    """
    grey = Image.fromarray(photo).convert("L").convert("RGB")
    positive = heat.clip(min=0)
    alpha = 0.85 * 255 * positive / max(float(positive.max()), 1e-12)
    mask = Image.fromarray(alpha.astype(np.uint8)).resize(grey.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", grey.size, HEAT), grey, mask)


def data_address(image: Image.Image) -> str:
    """Write an image as an address that holds it, so that a page is a single file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return jpeg_address(buffer.getvalue())


def jpeg_address(content: bytes) -> str:
    """Write the bytes of a JPEG file as an address that holds them."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def draw_matches(
    query: NDArray[np.uint8], database: NDArray[np.uint8], places: NDArray[np.float64]
) -> Image.Image:
    """Draw the matches of a query and a database image.

    Args:
        query: RGB of shape (H, W, 3).
        database: RGB of shape (H', W', 3).
        places: x and y of each match in both, as shares of width and height, shape
            (num_matches, 2, 2).

    Returns:
        Both photos in one picture, the query on the left; a line's colour goes by its place in
        the query, from left to right.
    """
    photos = [Image.fromarray(pixels) for pixels in (query, database)]
    size = sum(photo.width for photo in photos), max(photo.height for photo in photos)
    picture = Image.new("RGB", size)
    lefts = np.array([0, photos[0].width])
    for photo, left in zip(photos, lefts.tolist(), strict=True):
        picture.paste(photo, (left, 0))
    ends = places * [photo.size for photo in photos] + np.stack([lefts, [0, 0]], axis=1)
    drawing = ImageDraw.Draw(picture)
    for match, share in zip(ends, places[:, 0, 0].tolist(), strict=True):
        hue = colorsys.hsv_to_rgb(0.8 * share, 0.9, 1)
        red, green, blue = (round(255 * channel) for channel in hue)
        corners = [(float(x), float(y)) for x, y in match]
        drawing.line(corners, fill=(red, green, blue))
        for x, y in corners:
            box = (x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX)
            drawing.ellipse(box, outline=(red, green, blue))
    return picture


@dataclass(frozen=True)
class Tile:
    """A picture of a sheet.

    Args:
        image: Image file.
        caption: A line of text below it.
        colour: Colour of frame and text, RGB.
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
