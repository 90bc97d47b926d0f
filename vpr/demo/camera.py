"""A pinhole camera on the demo's street: rectangles, strips and balls in, a photo out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vpr.demo.drives import Shot, position
from vpr.demo.street import Colour, Road

VIEW_M = 110.0  # how far ahead things are painted
NEAR_M = 0.7  # nearer things are cut off
EYE_M = 1.7  # the camera's height
FINER = 2  # factor by which the photo is painted larger, then scaled down


class Canvas:
    """An image that is being painted: quads of the world in, pixels out."""

    def __init__(self, road: Road, shot: Shot, size_px: tuple[int, int]) -> None:
        """Point the camera; `size_px` is the width and height of the finished image."""
        self.shot = shot
        self.road = road
        self._width, self._height = (FINER * side for side in size_px)
        self._focal = shot.focal * self._width
        self._horizon = 0.55 * self._height + self._focal * np.tan(shot.pitch)
        self._eye = position(road, shot)
        heading = road.heading(shot.along_m) + shot.yaw
        self._ahead = np.array([np.cos(heading), np.sin(heading)])
        sky = tuple(round(255 * min(channel, 1)) for channel in shot.light.sky)
        self._image = Image.new("RGB", (self._width, self._height), sky)
        self._draw = ImageDraw.Draw(self._image)

    def wall(
        self, start: NDArray[np.float64], end: NDArray[np.float64],
        low_m: float, high_m: float, colour: Colour,
    ) -> None:  # fmt: skip
        """Paint an upright rectangle over a line on the ground, given in the road's (s, left)."""
        ends = self._cut([self._seen(start), self._seen(end)])
        if ends is not None:
            (x0, z0), (x1, z1) = ends
            corners = [(x0, low_m, z0), (x1, low_m, z1), (x1, high_m, z1), (x0, high_m, z0)]
            self._fill(corners, colour)

    def strip(self, left_m: float, right_m: float, colour: Colour, dash_m: float = 0) -> None:
        """Paint a strip of the ground along the road; dashed if `dash_m` is not 0."""
        step = dash_m or 3.0
        first = np.floor(self.shot.along_m / step) * step
        for start in np.arange(first, first + VIEW_M, 2 * dash_m or step):
            sides = [
                self._cut([self._seen(np.array([s, left])) for s in (start, start + step)])
                for left in (left_m, right_m)
            ]
            if sides[0] is not None and sides[1] is not None:
                outline = [*sides[0], *sides[1][::-1]]
                self._fill([(x, 0.0, z) for x, z in outline], colour)

    def disc(
        self, place: NDArray[np.float64], up_m: float, radius_m: float, colour: Colour
    ) -> None:
        """Paint a ball."""
        x, z = self._seen(place)
        if z > NEAR_M:
            u, v = self._project(x, up_m, z)
            r = radius_m * self._focal / z
            self._draw.ellipse((u - r, v - r, u + r, v + r), fill=self._shade(colour, z))

    def finish(self, rng: np.random.Generator) -> Image.Image:
        """Finish the photo: scaled down, with the sensor's noise."""
        size = (self._width // FINER, self._height // FINER)
        pixels = np.asarray(self._image.resize(size, Image.Resampling.BOX), dtype=np.float64)
        noisy = pixels + rng.normal(0, self.shot.light.noise, pixels.shape)
        return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))

    def _seen(self, place: NDArray[np.float64]) -> tuple[float, float]:
        offset = self.road.place(*place) - self._eye
        right = offset[0] * self._ahead[1] - offset[1] * self._ahead[0]
        return float(right), float(offset @ self._ahead)

    def _cut(self, ends: list[tuple[float, float]]) -> list[tuple[float, float]] | None:
        (x0, z0), (x1, z1) = ends
        if max(z0, z1) <= NEAR_M:
            return None
        if min(z0, z1) >= NEAR_M:
            return ends
        share = (NEAR_M - z0) / (z1 - z0)
        cut = (x0 + share * (x1 - x0), NEAR_M)
        return [cut, ends[1]] if z0 < NEAR_M else [ends[0], cut]

    def _project(self, x: float, up_m: float, z: float) -> tuple[float, float]:
        focal = self._focal
        return self._width / 2 + focal * x / z, self._horizon - focal * (up_m - EYE_M) / z

    def _fill(self, corners: list[tuple[float, float, float]], colour: Colour) -> None:
        distance = float(np.mean([z for _, _, z in corners]))
        outline = [self._project(*corner) for corner in corners]
        self._draw.polygon(outline, fill=self._shade(colour, distance))

    def _shade(self, colour: Colour, distance_m: float) -> tuple[int, int, int]:
        light = self.shot.light
        air = 1 - (1 - light.haze) ** (distance_m / 100)
        mixed = [
            (1 - air) * min(part * tint, 1) + air * sky
            for part, tint, sky in zip(colour, light.tint, light.sky, strict=True)
        ]
        red, green, blue = (round(255 * min(max(part, 0), 1)) for part in mixed)
        return red, green, blue
