"""A pinhole camera on the demo's street: walls, ground, strips and balls in, a photo out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vpr.demo.drives import VIEW_M, Shot
from vpr.demo.pictures import Picture, pixel
from vpr.demo.street import Colour, Road

NEAR_M = 0.7  # nearer things are cut off
EYE_M = 1.7  # the camera's height
FINER = 2  # factor by which the photo is painted larger, then scaled down

Point = tuple[float, float]
Line = tuple[Point, Point]
Vectors = NDArray[np.float64]  # right, up and ahead of the camera in metres, shape (..., 3)


class Canvas:
    """An image that is being painted: quads of the world in, pixels out.

    Places are positions along the road and left of its middle, in metres.
    """

    def __init__(self, road: Road, shot: Shot, size_px: tuple[int, int]) -> None:
        """Point the camera; `size_px` is the width and height of the finished image."""
        self.shot = shot
        self.road = road
        self._width, self._height = (FINER * side for side in size_px)
        self._focal = shot.focal * self._width
        self._horizon = float(0.55 * self._height + self._focal * np.tan(shot.pitch))
        self._eye = shot.position(road)
        heading = road.heading(shot.along_m) + shot.yaw
        self._ahead = np.array([np.cos(heading), np.sin(heading)])
        self._image = Image.new("RGB", (self._width, self._height), pixel(shot.light.sky))
        self._draw = ImageDraw.Draw(self._image)

    def wall(self, line: Line, low_m: float, high_m: float, colour: Colour) -> None:
        """Paint an upright rectangle over a line on the ground."""
        ends = self._cut(self._seen(line[0]), self._seen(line[1]))
        if ends is not None:
            (x0, z0), (x1, z1) = ends
            corners = [(x0, low_m, z0), (x1, low_m, z1), (x1, high_m, z1), (x0, high_m, z0)]
            distance = (z0 + z1) / 2
            outline = [self._project(*corner) for corner in corners]
            self._draw.polygon(outline, fill=self._shade(colour, distance))

    def facade(
        self, start: Point, end: Point, high_m: float, picture: Picture, factor: float
    ) -> None:
        """Paint a picture on an upright rectangle that stands on the ground; `factor` dims it."""
        (x0, z0), (x1, z1) = seen = self._seen(start), self._seen(end)
        ends = self._cut(*seen)
        if ends is None:
            return
        outline = [self._project(x, up, z) for x, z in ends for up in (0.0, high_m)]
        outline[2:] = outline[:1:-1]
        distance = (ends[0][1] + ends[1][1]) / 2
        shown = _length(*ends) / _length(*seen)
        size = abs(outline[0][0] - outline[2][0]) / shown, high_m * self._focal / distance
        axes = np.array([(x0, -EYE_M, z0), (x1 - x0, 0, z1 - z0), (0, high_m, 0)])
        self._fill(outline, axes, size, picture, distance, factor)

    def ground(self, corners: list[Point], apron_m: float, picture: Picture) -> None:
        """Paint a picture on the ground, which reaches farther than the corners on each side.

        `corners` are left and right at the near end, then right and left at the far end.
        """
        near_left, near_right, far_right, far_left = map(self._seen, corners)
        sides = self._cut(near_left, far_left), self._cut(near_right, far_right)
        if sides[0] is None or sides[1] is None:
            return
        outline = [self._project(x, 0.0, z) for x, z in (*sides[0], *sides[1][::-1])]
        axes = _frame(near_left, near_right, far_right, far_left, apron_m)
        distance = (sides[0][0][1] + sides[0][1][1]) / 2
        size = (
            _length(near_left, near_right) * self._focal / distance,
            max(y for _, y in outline) - min(y for _, y in outline),
        )
        self._fill(outline, axes, size, picture, distance, 1.0)

    def strip(self, left_m: float, right_m: float, colour: Colour) -> None:
        """Paint a strip of the ground along the road."""
        step = 5.0
        first = np.floor(self.shot.along_m / step) * step
        for start in np.arange(first, first + VIEW_M, step):
            sides = [
                self._cut(*(self._seen((s, left)) for s in (start, start + step)))
                for left in (left_m, right_m)
            ]
            if sides[0] is not None and sides[1] is not None:
                ends = [*sides[0], *sides[1][::-1]]
                distance = sum(z for _, z in ends) / 4
                outline = [self._project(x, 0.0, z) for x, z in ends]
                self._draw.polygon(outline, fill=self._shade(colour, distance))

    def disc(self, place: Point, up_m: float, radius_m: float, colour: Colour) -> None:
        """Paint a ball."""
        x, z = self._seen(place)
        if z > NEAR_M:
            u, v = self._project(x, up_m, z)
            r = radius_m * self._focal / z
            self._draw.ellipse((u - r, v - r, u + r, v + r), fill=self._shade(colour, z))

    def crown(self, place: Point, up_m: float, radius_m: float, picture: Picture) -> None:
        """Paint the picture of a ball, which has an alpha channel."""
        x, z = self._seen(place)
        r = round(radius_m * self._focal / max(z, NEAR_M))
        u, v = map(round, self._project(x, up_m, max(z, NEAR_M)))
        if z > NEAR_M and r and -r < u < self._width + r and -r < v < self._height + r:
            reduced = picture.reduced(*(side / (2 * r) for side in picture.size))
            ball = reduced.resize((2 * r, 2 * r), Image.Resampling.BILINEAR)
            alpha = ball.getchannel("A")
            lit = ball.convert("RGB").point(self._table(z, 1.0))
            self._image.paste(lit, (u - r, v - r), alpha)

    def finish(self, rng: np.random.Generator) -> Image.Image:
        """Finish the photo: scaled down, perhaps out of focus, with the sensor's noise."""
        size = (self._width // FINER, self._height // FINER)
        small = self._image.resize(size, Image.Resampling.BOX)
        small = small.filter(ImageFilter.GaussianBlur(self.shot.blur * size[0]))
        pixels = np.asarray(small, dtype=np.float64)
        noisy = pixels + rng.normal(0, self.shot.light.noise, pixels.shape)
        return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))

    def _seen(self, place: Point) -> Point:
        """How far right and how far ahead of the camera a place is."""
        offset = self.road.place(*place) - self._eye
        right = offset[0] * self._ahead[1] - offset[1] * self._ahead[0]
        return float(right), float(offset @ self._ahead)

    def _cut(self, start: Point, end: Point) -> tuple[Point, Point] | None:
        """Cut off what is behind the camera."""
        (x0, z0), (x1, z1) = start, end
        if max(z0, z1) <= NEAR_M:
            return None
        if min(z0, z1) >= NEAR_M:
            return start, end
        share = (NEAR_M - z0) / (z1 - z0)
        cut = (x0 + share * (x1 - x0), NEAR_M)
        return (cut, end) if z0 < NEAR_M else (start, cut)

    def _project(self, x: float, up_m: float, z: float) -> Point:
        focal = self._focal
        return self._width / 2 + focal * x / z, self._horizon - focal * (up_m - EYE_M) / z

    def _fill(
        self, outline: list[Point], axes: Vectors, size: Point,
        picture: Picture, distance_m: float, factor: float,
    ) -> None:  # fmt: skip
        """Fill a polygon with a picture in perspective.

        `axes` are the picture's lower left corner, its lower and its left side, shape (3, 3);
        `size` is about how many pixels the whole picture takes.
        """
        xs, ys = zip(*outline, strict=True)
        left, top = max(0, int(min(xs))), max(0, int(min(ys)))
        right, bottom = min(self._width, int(max(xs)) + 1), min(self._height, int(max(ys)) + 1)
        if left >= right or top >= bottom:
            return
        reduced = picture.reduced(
            *(side / max(taken, 1) for side, taken in zip(picture.size, size, strict=True))
        )
        box = right - left, bottom - top
        mask = Image.new("1", box)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=1)
        # Where the ray of a pixel meets the picture: shares of its sides, by Cramer's rule.
        vectors = np.cross(axes[[2, 0, 1]], axes)
        u, v, below = (self._along_ray(vector, left, top) for vector in vectors)
        width, height = reduced.size
        rows = np.concatenate([width * u, height * (below - v), below])
        numbers = (rows / below[2])[:8].tolist()
        filled = reduced.transform(
            box, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR,
            fillcolor=picture.mean,
        )  # fmt: skip
        self._image.paste(filled.point(self._table(distance_m, factor)), (left, top), mask)

    def _along_ray(self, vector: Vectors, left: int, top: int) -> Vectors:
        """Product of a vector with pixels' rays: factors of x and y from a corner, and the rest."""
        right, up, ahead = vector / (self._focal, self._focal, 1)
        rest = ahead + right * (left - self._width / 2) + up * (self._horizon - top)
        return np.array([right, -up, rest])

    def _shade(self, colour: Colour, distance_m: float) -> tuple[int, int, int]:
        light, air = self.shot.light, self._air(distance_m)
        red, green, blue = (
            (1 - air) * min(part * tint, 1) + air * sky
            for part, tint, sky in zip(colour, light.tint, light.sky, strict=True)
        )
        return pixel((red, green, blue))

    def _table(self, distance_m: float, factor: float) -> list[int]:
        """What becomes of each 8-bit value of red, green and blue at a distance."""
        light, air = self.shot.light, self._air(distance_m)
        values = factor / 255 * np.arange(256)
        seen = (1 - air) * np.minimum(np.outer(light.tint, values), 1)
        seen += air * np.array(light.sky)[:, None]
        return (255 * seen).round().clip(0, 255).astype(int).ravel().tolist()

    def _air(self, distance_m: float) -> float:
        return float(1 - (1 - self.shot.light.haze) ** (distance_m / 100))


def _length(start: Point, end: Point) -> float:
    return float(np.hypot(end[0] - start[0], end[1] - start[1]))


def _frame(
    near_left: Point, near_right: Point, far_right: Point, far_left: Point, apron_m: float
) -> Vectors:
    """Corner and sides of the rectangle that takes a part of a curved road, on the ground."""
    near = np.add(near_left, near_right) / 2
    ahead = np.add(far_left, far_right) / 2 - near
    length = float(np.hypot(*ahead))
    ahead /= length
    right = np.array([ahead[1], -ahead[0]])
    across = (_length(near_left, near_right) + 2 * apron_m) * right
    along = (length + 2 * apron_m) * ahead
    corner = near - across / 2 - apron_m * ahead
    return np.insert([corner, across, along], 1, [-EYE_M, 0, 0], axis=1)
