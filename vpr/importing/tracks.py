"""Tracks of a satellite receiver: where somebody was at a time, between points and never beyond."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

GLOBE = Geod(ellps="WGS84")
MOST_GAP_S = 20.0  # between two points; nothing is known of a longer one
LEAST_SPEED = 1.0  # metres per second from which a direction of travel means something
COURSE_S = 1.0  # before and after, between which the direction is measured
ROUNDING_M = 1e-3  # of tracks, which are written in decimals

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """Points in the order of time.

    Args:
        times: Seconds, ascending, shape (num_points,).
        places: Latitude and longitude, shape (num_points, 2).
        is_local: Whether places are metres of no place on Earth, as odometry's.
    """

    times: Floats
    places: Floats
    is_local: bool = False

    def at(self, times: Floats) -> Floats:
        """Interpolate positions; NaN before, after, and in gaps.

        Args:
            times: Shape (num_times,).

        Returns:
            As the track's places, shape (num_times, 2).
        """
        after = np.clip(np.searchsorted(self.times, times), 1, len(self.times) - 1)
        is_known = (times >= self.times[0]) & (times <= self.times[-1])
        is_known &= self.times[after] - self.times[after - 1] <= MOST_GAP_S
        one, other = self.places.T
        if not self.is_local:
            other = np.unwrap(other, period=360)
        found = np.column_stack([np.interp(times, self.times, axis) for axis in (one, other)])
        if not self.is_local:
            found[:, 1] = (found[:, 1] + 180) % 360 - 180
        found[~is_known] = np.nan
        return found

    def place(self, time: float) -> tuple[float, float] | None:
        """Interpolate the position at a time; None where it is unknown."""
        latitude, longitude = self.at(np.array([time]))[0].tolist()
        return None if np.isnan(latitude) else (latitude, longitude)

    def travelled(self, times: Floats) -> Floats:
        """Interpolate the metres travelled since the first point."""
        if self.is_local:
            steps = np.hypot(*np.diff(self.places, axis=0).T)
        else:
            steps = GLOBE.line_lengths(*self.places.T[::-1])
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(np.interp(times, self.times, total), dtype=np.float64)

    def speeds(self, times: Floats) -> Floats:
        """Metres per second over the second around each time."""
        half = COURSE_S / 2
        return (self.travelled(times + half) - self.travelled(times - half)) / COURSE_S

    def course(self, time: float) -> float | None:
        """Direction of travel in degrees clockwise from true north; None if unknown."""
        if self.is_local:
            return None
        ends = np.clip([time - COURSE_S, time + COURSE_S], self.times[0], self.times[-1])
        (north, east), (later_north, later_east) = self.at(ends)
        azimuth, _, metres = GLOBE.inv(east, north, later_east, later_north)
        if not metres > LEAST_SPEED * (ends[1] - ends[0]):  # nor where a place is unknown
            return None
        return float(azimuth % 360)


def choose_frames(track: Track, times: Floats, *, spacing_m: float) -> NDArray[np.int64]:
    """Choose the first frame after each step of distance; none while standing, or off the track.

    Args:
        track: Positions by time.
        times: Of the frames, on the track's clock, ascending.
        spacing_m: The step in metres.
    """
    rows = np.flatnonzero(~np.isnan(track.at(times)[:, 0]))
    if not len(rows):
        return rows
    gone = track.travelled(times[rows]) - track.travelled(times[rows[:1]])
    steps = np.floor((gone + ROUNDING_M) / spacing_m)
    return rows[np.flatnonzero(np.diff(steps, prepend=-1.0) > 0)]


def make_track(
    points: Iterable[tuple[float, float, float]], *, source: object, is_local: bool = False
) -> Track:
    """Sort points of time and place, see `Track`; impossible ones and repeated times go.

    Raises:
        ValueError: If fewer than two are left.
    """
    table = np.array(list(points), dtype=np.float64).reshape(-1, 3)
    fits = np.isfinite(table).all(axis=1)
    if not is_local:
        fits &= (np.abs(table[:, 1:]) <= (90, 180)).all(axis=1) & (table[:, 1:] != 0).any(axis=1)
    times, first = np.unique(table[fits, 0], return_index=True)
    if len(times) < 2:
        raise ValueError(f"{source}: expected a track of at least two points with times in UTC")
    return Track(times, table[fits][first, 1:], is_local)
