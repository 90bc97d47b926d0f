"""Pictures of the ground from facade to facade, a stretch of the street each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import ImageDraw

from vpr.demo.pictures import PX_PER_M, Picture, blocks, grain, pixel, tinted
from vpr.demo.street import FACADE_M, KERB_M

STRETCH_M = 10
APRON_M = 1.0  # drawn on each side, since the stretches of a curved street are no rectangles
ASPHALT = (0.42, 0.42, 0.43)
PAVEMENT = (0.6, 0.58, 0.55)
KERB = (0.75, 0.74, 0.72)
PAINT = (0.9, 0.9, 0.88)


@lru_cache(maxsize=256)
def draw_ground(seed: int, number: int) -> Picture:
    """Draw stretch `number` of a street's ground, its far end above, its left on the left."""
    rng = np.random.default_rng([seed, number])
    width, length = 2 * (FACADE_M + APRON_M), STRETCH_M + 2 * APRON_M
    size = round(width * PX_PER_M), round(length * PX_PER_M)
    image = tinted(PAVEMENT, 0.15 * blocks(rng, size, (12, 10)), 0.3 * grain(rng, size))
    road = size[0] // 2 - round(KERB_M * PX_PER_M)
    asphalt = tinted(ASPHALT, 0.15 * grain(rng, (size[0] - 2 * road, size[1])))
    image.paste(asphalt, (road, 0))
    draw = ImageDraw.Draw(image)

    def fill(left: float, right: float, start: float, end: float, grey: float) -> None:
        corners = [width / 2 - left, length - APRON_M - end, width / 2 - right,
                   length - APRON_M - start]  # fmt: skip
        draw.rectangle([round(PX_PER_M * part) for part in corners], fill=pixel((grey,) * 3))

    for side in (1, -1):
        edges = sorted((side * KERB_M, side * (KERB_M + 0.2)))
        fill(edges[1], edges[0], -APRON_M, STRETCH_M + APRON_M, KERB[0])
    for _ in range(rng.integers(40, 90)):  # repairs, covers, stains and leaves
        middle = rng.uniform(0, 1, 2) * image.size
        corners = middle + PX_PER_M * rng.uniform(0.1, 1.2) * rng.uniform(-1, 1, (4, 2))
        colour = rng.uniform(0.15, 0.8) + rng.uniform(-0.06, 0.06, 3)
        draw.polygon(corners.ravel().tolist(), fill=pixel(colour.tolist()))
    for start in range(0, STRETCH_M, 5):
        fill(0.08, -0.08, start + rng.uniform(0, 0.8), start + rng.uniform(2, 3.2), PAINT[0])
    if rng.random() < 0.12:  # a crossing
        for left in np.arange(-KERB_M + 0.5, KERB_M - 0.5, 1.0):
            fill(left + 0.5, left, 3, 6.5, PAINT[0])
    return Picture(image)
