"""Painting the things on the demo's street, far ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from vpr.demo.camera import VIEW_M, Canvas
from vpr.demo.drives import Car, Light, Shot
from vpr.demo.street import FACADE_M, KERB_M, STOREY_M, Building, Colour, Street, Tree

GROUND: Colour = (0.42, 0.42, 0.43)
PAVEMENT: Colour = (0.6, 0.58, 0.55)
OnFacade = Callable[[float, float, float, float, Colour], None]  # shares of the width, then metres


def paint(
    street: Street, shot: Shot, size_px: tuple[int, int], rng: np.random.Generator
) -> Image.Image:
    """Paint one photo of the street, RGB; `rng` makes sensor noise and lit windows."""
    canvas = Canvas(street.road, shot, size_px)
    canvas.strip(60, -60, (0.45, 0.47, 0.42))
    canvas.strip(FACADE_M, -FACADE_M, PAVEMENT)
    canvas.strip(KERB_M + 0.2, -KERB_M - 0.2, (0.75, 0.74, 0.72))
    canvas.strip(KERB_M, -KERB_M, GROUND)
    canvas.strip(0.08, -0.08, (0.9, 0.9, 0.88), dash_m=3.0)
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


def _scale(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _paint_building(
    canvas: Canvas, house: Building, light: Light, rng: np.random.Generator
) -> None:
    left = house.side * FACADE_M
    top = house.storeys * STOREY_M + 0.8
    sunny = 1.0 if light.sun in (0, -house.side) else 0.9

    def on_facade(u0: float, u1: float, low: float, high: float, colour: Colour) -> None:
        ends = [np.array([house.start_m + u * house.width_m, left]) for u in (u0, u1)]
        canvas.wall(ends[0], ends[1], low, high, _scale(colour, sunny))

    corner, back = np.array([house.start_m, left]), np.array([house.start_m, left * 2.2])
    canvas.wall(corner, back, 0, top, _scale(house.wall, 0.6))
    on_facade(0, 1, 0, top, house.wall)
    for band in range(house.bands * (house.storeys - 1)):
        low = STOREY_M + band * STOREY_M / house.bands
        on_facade(0, 1, low, low + 0.4 * STOREY_M / house.bands, _scale(house.wall, 0.6))
    on_facade(0, 1, top - 0.5, top, house.trim)
    _paint_ground_floor(on_facade, house)
    for storey in range(1, house.storeys):
        low = storey * STOREY_M + STOREY_M * (1 - house.window[1]) / 2
        high = low + STOREY_M * house.window[1]
        for bay in range(house.bays):
            middle, half = (bay + 0.5) / house.bays, house.window[0] / house.bays / 2
            lit = rng.random() < light.lit
            glass = (1.6, 1.35, 0.8) if lit else (0.2, 0.24, 0.3)
            on_facade(middle - 1.2 * half, middle + 1.2 * half, low - 0.15, high + 0.1, house.trim)
            on_facade(middle - half, middle + half, low, high, glass)


def _paint_ground_floor(on_facade: OnFacade, house: Building) -> None:
    if house.shop is None:
        on_facade(0, 1, 0, 0.7, _scale(house.wall, 0.75))
        on_facade(0.42, 0.42 + 1.3 / house.width_m, 0, 2.3, house.trim)
        on_facade(0.08, 0.3, 1.0, 2.5, (0.22, 0.25, 0.3))
        on_facade(0.7, 0.92, 1.0, 2.5, (0.22, 0.25, 0.3))
        return
    on_facade(0.06, 0.72, 0.5, 2.4, (0.25, 0.28, 0.32))
    on_facade(0.78, 0.78 + 1.2 / house.width_m, 0, 2.4, house.trim)
    on_facade(0.03, 0.97, 2.5, 3.2, house.shop)
    bright = _scale((1, 1, 1), 0.95 if sum(house.shop) < 1.5 else 0.15)
    on_facade(0.2, 0.6, 2.7, 3.0, bright)


def _paint_tree(canvas: Canvas, tree: Tree) -> None:
    left = tree.side * (KERB_M + 0.9)
    thick = 0.14 if tree.crown_m else 0.07
    bark = (0.3, 0.24, 0.2) if tree.crown_m else (0.35, 0.36, 0.38)
    foot = [np.array([tree.along_m, left + side * thick]) for side in (-1, 1)]
    canvas.wall(foot[0], foot[1], 0, tree.height_m - tree.crown_m, bark)
    middle = np.array([tree.along_m, left])
    if not tree.crown_m:
        canvas.disc(middle, tree.height_m, 0.28, (1.4, 1.3, 1.0))
    for lift, share, shade in ((0.0, 1.0, 0.85), (0.5, 0.75, 1.0), (1.0, 0.5, 1.15)):
        radius = share * tree.crown_m
        canvas.disc(middle, tree.height_m - 1 + lift, radius, _scale(tree.green, shade))


def _paint_car(canvas: Canvas, car: Car) -> None:
    half = car.width_m / 2
    inner = car.left_m - half if car.left_m > canvas.shot.left_m else car.left_m + half
    rear = [np.array([car.along_m, car.left_m + side * half]) for side in (-1, 1)]
    flank = [np.array([car.along_m + ahead, inner]) for ahead in (0, car.length_m)]
    for line, shade in ((flank, 0.8), (rear, 1.0)):
        canvas.wall(line[0], line[1], 0.25, car.height_m * 0.6, _scale(car.paint, shade))
        canvas.wall(line[0], line[1], car.height_m * 0.6, car.height_m, _scale(car.paint, 0.7))
        canvas.wall(line[0], line[1], car.height_m * 0.63, car.height_m * 0.92, (0.15, 0.17, 0.2))
        canvas.wall(line[0], line[1], 0, 0.3, (0.08, 0.08, 0.08))
    canvas.wall(rear[0], (rear[0] * 5 + rear[1]) / 6, 0.6, 0.8, (0.8, 0.1, 0.1))
    canvas.wall((rear[0] + rear[1] * 5) / 6, rear[1], 0.6, 0.8, (0.8, 0.1, 0.1))
