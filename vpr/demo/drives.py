"""The demo's drives along the street: where the camera was, in what light and what traffic.

The database's drive covers the middle of the street. The queries' drive, months later, may begin
before it and end after it: what it sees there lies off the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr.demo.street import KERB_M, Colour, Road, as_colour

START_M = 15.0  # of street before the first photo
VIEW_M = 110.0  # how far ahead things are painted
REST_M = 105.0  # of street after the last photo, so that it shows a street
UNSEEN_M = VIEW_M + 10  # from a photo of the map to one that shows nothing of it
MARGIN_M = 300.0  # of street before and after the part that the database covers
FOCAL = 0.72  # focal length of the database's camera in image widths
BLUR = 0.08  # largest blur of the queries in image widths; two thirds of them have none
LIT = 0.02, 1.6  # darkest and brightest part of a colour in any light


@dataclass(frozen=True)
class Car:
    """A parked or moving car, van or bus: a box.

    Args:
        along_m: Position of its rear end along the road.
        left_m: Position of its middle, left of the road's middle.
        length_m: Size along the road.
        width_m: Size across the road.
        paint: Colour, RGB in [0, 1].
    """

    along_m: float
    left_m: float
    length_m: float
    width_m: float
    height_m: float
    paint: Colour


@dataclass(frozen=True)
class Light:
    """Light and weather of one photo.

    Args:
        sky: Colour of the sky, RGB in [0, 1].
        tint: Factors of every surface's colour.
        sun: Side that the sun shines on (1 left, -1 right), 0 if overcast or night.
        haze: Share of the sky's colour that 100 m of air add.
        lit: Share of lit windows.
        noise: Standard deviation of the sensor's noise, of 255.
    """

    sky: Colour
    tint: Colour
    sun: int
    haze: float
    lit: float
    noise: float


@dataclass(frozen=True)
class Shot:
    """One photo to take.

    Args:
        along_m: Position of the camera along the road.
        left_m: Position left of the road's middle.
        yaw: Direction of view relative to the road's, radians, left is positive.
        pitch: Direction of view relative to the horizon, radians, up is positive.
        focal: Focal length in image widths.
        blur: Standard deviation of the blur of a photo out of focus, in image widths.
    """

    along_m: float
    left_m: float
    yaw: float
    pitch: float
    focal: float
    blur: float
    light: Light
    cars: list[Car]

    def position(self, road: Road) -> NDArray[np.float64]:
        """Easting and northing of the camera in metres, shape (2,)."""
        return road.place(self.along_m, self.left_m)


def drive_by_day(count: int, length_m: float, rng: np.random.Generator) -> list[Shot]:
    """Draw the database's drive: even steps, the right lane, midday."""
    steps = np.cumsum(rng.uniform(0.85, 1.15, count))
    light = Light((0.72, 0.82, 0.93), (1.0, 1.0, 1.0), 1, 0.1, 0.0, 3.0)
    parked = _parked(length_m, 0.06, rng)
    return [
        Shot(s, -1.8 + rng.normal(0, 0.15), rng.normal(0, 0.015), rng.normal(0, 0.01),
             FOCAL, 0.0, light, parked + _moving(s, 0.06, rng))
        for s in _spread(steps, *_covered(length_m))
    ]  # fmt: skip


def drive_months_later(
    count: int, length_m: float, *, num_off_map: int, difficulty: float, rng: np.random.Generator
) -> list[Shot]:
    """Draw the queries' drive: another lane, view, camera, speed, light, weather and traffic.

    At difficulty 0 they are as the database's but for chance, at 1 most different. `num_off_map` of
    the photos show nothing that the database shows: half at the drive's beginning, half at its end.

    Returns:
        Photos in the order of the drive.
    """
    speed = 1 + 0.6 * np.sin(np.arange(count) / rng.uniform(6, 12) + rng.uniform(0, 6))
    steps = np.cumsum(speed + rng.uniform(0, 0.3, count))
    lane = -1.8 + 5 * difficulty
    yaw = 0.3 * difficulty * rng.choice([-1, 1])
    pitch, focal = 0.5 * difficulty, FOCAL * (1 + 0.5 * difficulty)  # another camera and mount
    parked = _parked(length_m, 0.05 + 0.1 * difficulty, rng)
    lights = _lights(count, difficulty, rng)
    enter, leave = num_off_map // 2, count - (num_off_map + 1) // 2
    first, last = _covered(length_m)
    along = [
        *_spread(steps[:enter], START_M, first - UNSEEN_M),
        *_spread(steps[enter:leave], first, last),
        *_spread(steps[leave:], last + UNSEEN_M, length_m + 2 * MARGIN_M - REST_M),
    ]
    return [
        Shot(s, lane + rng.normal(0, 0.25), yaw + rng.normal(0, 0.2 * difficulty),
             pitch + rng.normal(0, 0.15 * difficulty), focal,
             BLUR * difficulty * max(0.0, rng.uniform(-2, 1)), light,
             parked + _moving(s, 0.06 + 0.2 * difficulty, rng))
        for s, light in zip(along, lights, strict=True)
    ]  # fmt: skip


def _covered(length_m: float) -> tuple[float, float]:
    """Where the database's drive begins and ends on the road."""
    if length_m <= START_M + REST_M:
        raise ValueError(
            f"a street of {length_m:g} m (sample.num_database * sample.spacing_m) is too short: "
            f"more than {START_M + REST_M:g} m are needed"
        )
    return MARGIN_M + START_M, MARGIN_M + length_m - REST_M


def _spread(steps: NDArray[np.float64], start_m: float, end_m: float) -> list[float]:
    """Positions between two on the road, at distances like those of ascending numbers."""
    if len(steps) < 2:
        return [start_m] * len(steps)
    shares = (steps - steps[0]) / (steps[-1] - steps[0])
    along: list[float] = (start_m + shares * (end_m - start_m)).tolist()
    return along


def _lights(count: int, difficulty: float, rng: np.random.Generator) -> list[Light]:
    """Light by stretches of the drive: overcast day, then dusk, then night; the exposure varies."""
    lights = []
    for number in range(count):
        part = number / count
        dark = difficulty * (0.0 if part < 0.7 else 0.5 if part < 0.85 else 1.0)
        exposure = 1 - 0.35 * difficulty * rng.uniform(0, 1)
        warm = dark * np.array([0.12, 0.0, -0.1])
        sky = np.array([0.75, 0.81, 0.88]) * (1 - 0.9 * dark) + warm
        tint = exposure * (1 - 0.7 * dark) + warm
        haze = 0.1 + 0.2 * difficulty * float(rng.uniform(0, 1))
        colours = as_colour(sky * exposure, *LIT), as_colour(tint, *LIT)
        lights.append(Light(*colours, 0, haze, 0.7 * dark, 3 + 6 * dark))
    return lights


def _parked(length_m: float, share: float, rng: np.random.Generator) -> list[Car]:
    spots = np.arange(0, length_m + 2 * MARGIN_M, 6.5)
    return [
        _car(float(spot), side * (KERB_M - 1.1), rng)
        for side in (1, -1)
        for spot in spots
        if rng.random() < share
    ]


def _moving(along_m: float, chance: float, rng: np.random.Generator) -> list[Car]:
    lanes = ((-1.8, rng.uniform(9, 40)), (1.8, rng.uniform(7, 40)))
    return [_car(along_m + ahead, lane, rng) for lane, ahead in lanes if rng.random() < chance]


def _car(along_m: float, left_m: float, rng: np.random.Generator) -> Car:
    paint = as_colour(np.full(3, rng.uniform(0.1, 0.9)) + rng.normal(0, 0.15, 3), *LIT)
    if rng.random() < 0.2:
        return Car(along_m, left_m, 5.4, 2.0, 2.5, paint)  # a van
    return Car(along_m, left_m, 4.3, 1.8, 1.5, paint)
