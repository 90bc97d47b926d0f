"""Films: when their frames are shown, single frames, blur, and how fast the picture moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.importing.collection import encode_jpeg, load_package
from vpr.importing.exif import parse_moment

NEIGHBOURS = 2  # frames before and after that one is compared with
BLURRED = 0.5  # of the median sharpness of its neighbours; below it a frame is skipped
SHARP_PX, FLOW_PX = 320, 160  # width at which sharpness and motion are measured
AHEAD_S = 5.0  # up to which frames are decoded on instead of sought
SUFFIXES = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".360", ".insv", ".mts", ".3gp"}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """A frame of a film as an upright JPEG.

    Args:
        file: The film.
        pts: When it is shown, in the film's units.
    """

    file: Path
    pts: int

    def __call__(self) -> bytes:
        """Decode it.

        Raises:
            ValueError: If it cannot be decoded, or is blurred and its neighbours are not.
        """
        try:
            with _one_error(self.file):
                seen = _reader(self.file).around(self.pts)
        except ValueError:
            _reader.cache_clear()
            seen = []
        pixels = {pts: _pixels(frame) for pts, frame in seen}
        if self.pts not in pixels:
            raise ValueError("frames that cannot be decoded")
        sharp = {pts: _sharpness(picture) for pts, picture in pixels.items()}
        others = [value for pts, value in sharp.items() if pts != self.pts]
        if others and sharp[self.pts] < BLURRED * np.median(others):
            raise ValueError("frames that are blurred, as their neighbours are not")
        return encode_jpeg(pixels[self.pts])


@dataclass(frozen=True)
class Clock:
    """When a film and its frames were taken.

    Args:
        pts: Of each frame, ascending, shape (num_frames,).
        seconds: The same in seconds since the start.
        start: Of the film, in seconds since 1970, as its metadata say; None if they do not.
    """

    pts: NDArray[np.int64]
    seconds: Floats
    start: float | None


@contextmanager
def _opened_film(file: Path) -> Iterator[Any]:
    """Open a film with PyAV, and yield its pictures' stream; all errors become one ValueError."""
    with _one_error(file) as av, av.open(str(file)) as container:
        if not container.streams.video:
            raise ValueError(f"{file}: has no pictures")
        container.streams.video[0].thread_type = "AUTO"
        yield container.streams.video[0]


@contextmanager
def _one_error(file: Path) -> Iterator[Any]:
    """Make errors of FFmpeg one ValueError; PyAV is passed on."""
    av = load_package("av", file, reads="films")
    try:
        yield av
    except av.error.FFmpegError as error:
        raise ValueError(
            f"{file}: not a readable film (cut off, or not closed by its camera?): {error.strerror}"
        ) from None


def read_clock(file: Path) -> Clock:
    """Read when each frame is shown, which need not be at a constant rate; nothing is decoded.

    Raises:
        ValueError: If it is not a readable film.
    """
    with _opened_film(file) as stream:
        packets = stream.container.demux(stream)
        found = {packet.pts for packet in packets if packet.pts is not None}
        pts = np.array(sorted(found), dtype=np.int64)
        if not len(pts):
            raise ValueError(f"{file}: has no pictures")
        start = stream.start_time or 0
        seconds = (pts - start) * float(stream.time_base)
        tags = {**stream.metadata, **stream.container.metadata}
    for key in ("com.apple.quicktime.creationdate", "creation_time"):  # only the first has a zone
        moment = parse_moment(tags.get(key, ""))
        if moment is not None and moment > datetime(1990, 1, 1).timestamp():
            return Clock(pts, seconds, moment)
    return Clock(pts, seconds, None)


def measure_motion(file: Path, *, every_s: float) -> tuple[Floats, Floats]:
    """Measure how fast the picture moves, as a stand-in for the speed of the camera.

    Args:
        file: The film.
        every_s: Seconds between two measurements, each of a frame and the one after it.

    Returns:
        Seconds since the start, and the median optical flow in widths of the picture per second.
    """
    times, flows = [], []
    with _opened_film(file) as stream:
        before: tuple[float, NDArray[np.uint8]] | None = None
        due = 0.0
        for frame in stream.container.decode(stream):
            time = float((frame.pts - (stream.start_time or 0)) * stream.time_base)
            if before is None and time < due:
                continue
            grey = _grey(frame.to_ndarray(format="gray"), FLOW_PX)
            if before is None:
                before = time, grey
                continue
            flow = cv2.calcOpticalFlowFarneback(
                before[1], grey, np.zeros((*grey.shape, 2), np.float32), 0.5, 3, 15, 2, 5, 1.1, 0
            )
            times.append(before[0])
            flows.append(float(np.median(np.hypot(*flow.T))) / FLOW_PX / (time - before[0]))
            before, due = None, due + every_s
    return np.array(times), np.array(flows)


def _sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian, at a fixed size; only frames of one moment can be compared."""
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return float(np.var(cv2.Laplacian(_grey(grey, SHARP_PX), cv2.CV_64F)))


class _Reader:
    """A film that is read forwards, and sought only where frames are far apart."""

    def __init__(self, file: Path) -> None:
        self.container = load_package("av", file, reads="films").open(str(file))
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.recent: deque[Any] = deque(maxlen=2 * NEIGHBOURS + 1)
        self.frames = self.container.decode(self.stream)

    def around(self, pts: int) -> list[tuple[int, Any]]:
        """Decode a frame and its neighbours."""
        ahead = AHEAD_S / float(self.stream.time_base or 1)
        start = self.stream.start_time or 0
        first, last = (self.recent[end].pts if self.recent else start for end in (0, -1))
        if not first <= pts <= last + ahead:
            self.container.seek(pts, stream=self.stream, backward=True)
            self.frames = self.container.decode(self.stream)
            self.recent.clear()
        while sum(frame.pts > pts for frame in self.recent) < NEIGHBOURS:
            frame = next(self.frames, None)
            if frame is None:
                break
            if frame.pts is not None:
                self.recent.append(frame)
        return [(frame.pts, frame) for frame in self.recent]


@lru_cache(maxsize=1)
def _reader(file: Path) -> _Reader:
    return _Reader(file)


def _pixels(frame: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - PyAV is optional
    """Pixels as a player shows them; those of PyAV are as the sensor lay."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, k=round(frame.rotation / 90)))


def _grey(grey: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    height = max(1, round(grey.shape[0] * width / grey.shape[1]))
    return np.asarray(
        cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
