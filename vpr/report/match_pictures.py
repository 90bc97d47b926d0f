"""Pictures of verified pairs: two photos side by side, their matches joined by lines."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

DOT_PX = 2  # radius


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
    sides = [Image.fromarray(one) for one in (query, database)]
    picture = Image.new("RGB", (sum(one.width for one in sides), max(one.height for one in sides)))
    lefts = np.array([0, sides[0].width])
    for side, left in zip(sides, lefts.tolist(), strict=True):
        picture.paste(side, (left, 0))
    ends = places * [one.size for one in sides] + np.stack([lefts, [0, 0]], axis=1)
    drawing = ImageDraw.Draw(picture)
    for match, share in zip(ends, places[:, 0, 0].tolist(), strict=True):
        red, green, blue = (round(255 * one) for one in colorsys.hsv_to_rgb(0.8 * share, 0.9, 1))
        corners = [(float(x), float(y)) for x, y in match]
        drawing.line(corners, fill=(red, green, blue))
        for x, y in corners:
            box = (x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX)
            drawing.ellipse(box, outline=(red, green, blue))
    return picture
