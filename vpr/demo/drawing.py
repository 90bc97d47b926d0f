"""The demo's photos: two drives along one street, painted thing by thing, far ones first."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vpr.console.progress import track
from vpr.demo.camera import Canvas
from vpr.demo.drives import (
    MARGIN_M,
    VIEW_M,
    Car,
    Light,
    Shot,
    drive_by_day,
    drive_months_later,
)
from vpr.demo.pictures import APRON_M, STRETCH_M, Picture, draw_facade, draw_ground, pixel
from vpr.demo.street import FACADE_M, KERB_M, Building, Street, Tree, build_street, scale
from vpr.places.index import ImageIndex

LEAVES, CROWN_PX = 90, 96
ORIGIN_M = (389_000.0, 5_818_000.0)  # somewhere in UTM 33N
STREET, DATABASE, QUERY = range(3)  # separate random streams: the drives share only the scene


def paint(
    street: Street, shot: Shot, size_px: tuple[int, int], rng: np.random.Generator
) -> Image.Image:
    """Paint one photo of the street, RGB; `rng` makes sensor noise and lit windows."""
    canvas = Canvas(street.road, shot, size_px)
    canvas.strip(60, -60, (0.45, 0.47, 0.42))
    first = int(shot.along_m // STRETCH_M)
    for number in reversed(range(first, first + int(VIEW_M / STRETCH_M))):
        near, far = float(number * STRETCH_M), float((number + 1) * STRETCH_M)
        corners = [(near, FACADE_M), (near, -FACADE_M), (far, -FACADE_M), (far, FACADE_M)]
        canvas.ground(corners, APRON_M, draw_ground(street.ground, number))
    for thing in sorted(_in_view(street, shot), key=lambda thing: -_far_end(thing)):
        if isinstance(thing, Building):
            _paint_building(canvas, thing, shot.light, rng)
        elif isinstance(thing, Tree):
            _paint_tree(canvas, thing)
        else:
            _paint_car(canvas, thing)
    return canvas.finish(rng)


def _in_view(street: Street, shot: Shot) -> list[Building | Tree | Car]:
    things: list[Building | Tree | Car] = [*street.buildings, *street.trees, *shot.cars]
    return [thing for thing in things if -25 < thing.along_m - shot.along_m < VIEW_M]


def _far_end(thing: Building | Tree | Car) -> float:
    return thing.along_m + (0.5 * thing.width_m if isinstance(thing, Building) else 0)


def _paint_building(
    canvas: Canvas, house: Building, light: Light, rng: np.random.Generator
) -> None:
    left = house.side * FACADE_M
    picture, windows = draw_facade(house)
    sunny = 1.0 if light.sun in (0, -house.side) else 0.9
    start, end = (house.along_m, left), (house.along_m + house.width_m, left)
    canvas.facade(start, (house.along_m, left * 2.2), house.height_m, picture, 0.6)
    canvas.facade(start, end, house.height_m, picture, sunny)
    for x0, x1, low, high in windows:
        if rng.random() < light.lit:
            ends = (house.along_m + x0, left), (house.along_m + x1, left)
            canvas.wall(ends, low, high, scale((1.6, 1.35, 0.8), sunny))


@lru_cache(maxsize=512)
def _draw_crown(tree: Tree) -> Picture:
    rng = np.random.default_rng(tree.seed)
    image = Image.new("RGBA", (CROWN_PX, CROWN_PX), (*pixel(tree.green), 0))
    draw = ImageDraw.Draw(image)
    for _ in range(LEAVES):
        x, y = rng.uniform(-1, 1, 2)
        radius = rng.uniform(0.06, 0.22)
        if x * x + y * y < (1 - radius) ** 2:
            shade = pixel(scale(tree.green, rng.uniform(0.6, 1.1) - 0.35 * y))
            box = [
                CROWN_PX / 2 * (1 + part)
                for part in (x - radius, y - radius, x + radius, y + radius)
            ]
            draw.ellipse(box, fill=(*shade, 255))
    return Picture(image)


def _paint_tree(canvas: Canvas, tree: Tree) -> None:
    left = tree.side * (KERB_M + 0.9)
    thick = 0.14 if tree.crown_m else 0.07
    bark = (0.3, 0.24, 0.2) if tree.crown_m else (0.35, 0.36, 0.38)
    foot = (tree.along_m, left - thick), (tree.along_m, left + thick)
    canvas.wall(foot, 0, tree.height_m - tree.crown_m, bark)
    if tree.crown_m:
        canvas.crown(
            (tree.along_m, left), tree.height_m - 0.6, 1.2 * tree.crown_m, _draw_crown(tree)
        )
    else:
        canvas.disc((tree.along_m, left), tree.height_m, 0.28, (1.4, 1.3, 1.0))


def _paint_car(canvas: Canvas, car: Car) -> None:
    half = car.width_m / 2
    inner = car.left_m - half if car.left_m > canvas.shot.left_m else car.left_m + half
    rear = (car.along_m, car.left_m - half), (car.along_m, car.left_m + half)
    flank = (car.along_m, inner), (car.along_m + car.length_m, inner)
    for line, shade in ((flank, 0.8), (rear, 1.0)):
        canvas.wall(line, 0.25, car.height_m * 0.6, scale(car.paint, shade))
        canvas.wall(line, car.height_m * 0.6, car.height_m, scale(car.paint, 0.7))
        canvas.wall(line, car.height_m * 0.63, car.height_m * 0.92, (0.15, 0.17, 0.2))
        canvas.wall(line, 0, 0.3, (0.08, 0.08, 0.08))
    sixth = car.width_m / 6
    for left in (rear[0][1], rear[1][1] - sixth):
        canvas.wall(((car.along_m, left), (car.along_m, left + sixth)), 0.6, 0.8, (0.8, 0.1, 0.1))


def draw_set(
    folder: Path,
    *,
    num_database: int,
    num_query: int,
    num_off_map: int,
    length_m: float,
    size_px: tuple[int, int],
    difficulty: float,
    seed: int,
) -> tuple[ImageIndex, ImageIndex]:
    """Draw both drives as JPEG files below `database/` and `queries/`.

    `num_off_map` of the queries lie off the map: the database has no photo of what they show.
    `size_px` is a photo's width and height; `difficulty`, 0 to 1, is how much the second drive,
    months later, differs.

    Returns:
        Indices of the database and of the queries, coordinates in metres.
    """
    street = build_street(length_m + 2 * MARGIN_M, np.random.default_rng([seed, STREET]))
    by_day = np.random.default_rng([seed, DATABASE])
    later = np.random.default_rng([seed, QUERY])
    first = drive_by_day(num_database, length_m, by_day)
    second = drive_months_later(
        num_query, length_m, num_off_map=num_off_map, difficulty=difficulty, rng=later
    )
    indices = []
    for side, shots, rng in (("database", first, by_day), ("queries", second, later)):
        (folder / side).mkdir(parents=True)
        names = [f"{side}/{number:04d}.jpg" for number in range(len(shots))]
        photos = track(zip(names, shots, strict=True), total=len(shots), title=f"draw {side}")
        for name, shot in photos:
            paint(street, shot, size_px, rng).save(folder / name, quality=88)
        places = np.stack([shot.position(street.road) for shot in shots]) + ORIGIN_M
        indices.append(ImageIndex(names, places.round(3)))
    return indices[0], indices[1]
