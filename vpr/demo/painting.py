"""Painting the things on the demo's street, far ones first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from vpr.demo.camera import Canvas
from vpr.demo.drives import VIEW_M, Car, Light, Shot
from vpr.demo.facades import draw_facade
from vpr.demo.ground import APRON_M, STRETCH_M, draw_ground
from vpr.demo.pictures import Picture, pixel
from vpr.demo.street import FACADE_M, KERB_M, Building, Street, Tree, scale

LEAVES, CROWN_PX = 90, 96


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


def _in_view(street: Street, shot: Shot) -> Iterator[Building | Tree | Car]:
    things: list[Building | Tree | Car] = [*street.buildings, *street.trees, *shot.cars]
    for thing in things:
        start = thing.start_m if isinstance(thing, Building) else thing.along_m
        if shot.along_m - 25 < start < shot.along_m + VIEW_M:
            yield thing


def _far_end(thing: Building | Tree | Car) -> float:
    return thing.start_m + 0.5 * thing.width_m if isinstance(thing, Building) else thing.along_m


def _paint_building(
    canvas: Canvas, house: Building, light: Light, rng: np.random.Generator
) -> None:
    left = house.side * FACADE_M
    facade = draw_facade(house)
    sunny = 1.0 if light.sun in (0, -house.side) else 0.9
    start, end = (house.start_m, left), (house.start_m + house.width_m, left)
    canvas.facade(start, (house.start_m, left * 2.2), house.height_m, facade.picture, 0.6)
    canvas.facade(start, end, house.height_m, facade.picture, sunny)
    for x0, x1, low, high in facade.windows:
        if rng.random() < light.lit:
            ends = (house.start_m + x0, left), (house.start_m + x1, left)
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
