"""A film with a track beside it, or with positions inside: frames by distance travelled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.films import SUFFIXES, Clock, Frame, measure_motion, read_clock
from vpr.importing.placing import safe_name
from vpr.importing.track_files import SUFFIXES as TRACK_SUFFIXES
from vpr.importing.track_files import load_track, read_telemetry
from vpr.importing.tracks import Track, choose_frames

WORDS = "a film (.mp4, .mov, ...) with a GPX or NMEA track, or positions inside"
GIVES_WAY = False

UNPLACED_S = 1.0  # between two frames of a film without positions
EVERY_S = 0.25  # between two measurements of motion
FINE_S = 0.1  # between two offsets of the clock that are tried
NEAR_S = 180.0  # offsets from the film's own clock that are tried first
LEAST_CORRELATION = 0.6
LEAST_LEAD = 0.1  # of the best offset, over all that are not its neighbours
APART_S = 10.0  # from the best offset; farther ones compete with it
LEAST_CHANGE = 0.15  # of speed, as a fraction of its mean; less says nothing

Floats = NDArray[np.float64]


def recognises(source: Path) -> bool:
    """Return whether a source is a film, by its name."""
    return source.is_file() and source.suffix.lower() in SUFFIXES


def read(source: Path, asked: Asked) -> Collection:
    """Choose frames of a film by the distance travelled.

    Raises:
        ValueError: If it is not a readable film, has no positions, or its clock cannot be told.
    """
    found, clock = Collection("a film"), read_clock(source)
    beside = (source.with_suffix(suffix) for suffix in TRACK_SUFFIXES)
    path = asked.track or next((path for path in beside if path.exists()), None)
    epoch: float | None  # when the film began, since 1970
    if path is not None:
        track = load_track(path)
        start = epoch = _find_start(source, clock, track, asked, found)
    elif asked.labels:
        track, epoch = read_telemetry(source)
        start, epoch = asked.clock_offset_s or 0.0, clock.start if epoch is None else epoch
    else:
        end = np.nextafter(clock.seconds[-1], np.inf)  # the last frame counts
        rows = np.searchsorted(clock.seconds, np.arange(0, end, UNPLACED_S))
        found.shots = [_shot(source, clock, row, clock.start) for row in rows.tolist()]
        return found
    times = clock.seconds + start
    for row in choose_frames(track, times, spacing_m=asked.spacing_m).tolist():
        at, heading = track.place(times[row]), track.course(times[row])
        found.shots.append(replace(_shot(source, clock, row, epoch), at=at, heading=heading))
    if not found.shots:
        raise ValueError(
            f"{source}: no frame lies within the track ({_date(times[0])} to {_date(times[-1])}, "
            f"the track {_date(track.times[0])} to {_date(track.times[-1])}): is --clock-offset "
            "right?"
        )
    unknown = np.isnan(track.at(times)[:, 0])
    if unknown.any():
        found.notes.append(
            f"{source.name}: {unknown.mean():.0%} of it is outside the track, or in its gaps"
        )
    found.notes.append(
        f"{source.name}: directions of view are those of travel, as of a camera that looks ahead"
    )
    return found


def _shot(source: Path, clock: Clock, row: int, epoch: float | None) -> Shot:
    seconds = float(clock.seconds[row])
    return Shot(
        safe_name([source.stem, f"{round(seconds * 1000):09d}.jpg"]),
        Frame(source, int(clock.pts[row])),
        time=None if epoch is None else epoch + seconds,
        sequence=source.stem,
    )


def _find_start(source: Path, clock: Clock, track: Track, asked: Asked, found: Collection) -> float:
    """Find when the film began on the track's clock: as given, else estimated."""
    if asked.clock_offset_s is not None:
        if clock.start is None:
            raise ValueError(f"{source}: does not say when it was taken, so no offset can be added")
        return clock.start + asked.clock_offset_s
    try:
        start = _align(*measure_motion(source, every_s=EVERY_S), track, told=clock.start)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    hint = "" if clock.start is None else f": --clock-offset {start - clock.start:.1f}"
    found.notes.append(f"{source.name}: by its motion it began at {_date(start)}{hint}")
    return start


def _align(times: Floats, motion: Floats, track: Track, *, told: float | None) -> float:
    """Find when a film began on the clock of a track, by how fast both move.

    Args:
        times: Seconds since the film's start, shape (num_measurements,).
        motion: How fast the picture moves at them, in any unit.
        track: A track that covers the film.
        told: Start by its own clock, which is preferred if a start near it fits.

    Raises:
        ValueError: If the speed hardly changes, or several starts fit equally well.
    """
    if len(times) < 2 / EVERY_S:
        raise ValueError("the film is too short to estimate its clock's offset")
    first, last = float(track.times[0]) - times[0], float(track.times[-1]) - times[-1]
    ranges = [(told - NEAR_S, told + NEAR_S)] if told is not None else []
    reasons = ["the track is shorter than the film"]
    for low, high in [*ranges, (first, last)]:
        starts = np.arange(max(low, first), min(high, last) + FINE_S / 2, FINE_S)
        if len(starts):
            fits = np.array([_correlation(motion, track.speeds(times + start)) for start in starts])
            best = int(np.argmax(fits))
            others = fits[np.abs(starts - starts[best]) > APART_S]
            lead = fits[best] - others.max(initial=-1.0)
            if fits[best] >= LEAST_CORRELATION and lead >= LEAST_LEAD:
                return float(starts[best])
            reasons.append(
                f"correlation {fits[best]:.2f}, the next best {others.max(initial=-1):.2f}"
            )
    raise ValueError(
        f"its clock's offset cannot be estimated from its motion ({reasons[-1]}; it needs "
        "changes of speed): give --clock-offset SECONDS, 0 if it is right"
    )


def _correlation(motion: Floats, speeds: Floats) -> float:
    """Correlate after ranking, as flow is not linear in speed; -1 where speed is constant."""
    if not speeds.std() > LEAST_CHANGE * speeds.mean():
        return -1.0
    flow, speed = (np.argsort(np.argsort(x, kind="stable")) for x in (motion, speeds))
    return float(np.corrcoef(flow, speed)[0, 1])


def _date(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
