"""How far the clock of a film is from that of a track: by how fast both move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpr.importing.tracks import Track

EVERY_S = 0.25  # between two measurements
FINE_S = 0.1  # between two offsets that are tried
NEAR_S = 180.0  # offsets from the film's own clock that are tried first
LEAST_CORRELATION = 0.6
LEAST_LEAD = 0.1  # of the best offset, over all that are not its neighbours
APART_S = 10.0  # from the best, where offsets are no neighbours
LEAST_CHANGE = 0.15  # of speed, as a fraction of its mean; less says nothing

Floats = NDArray[np.float64]


def find_start(times: Floats, motion: Floats, track: Track, *, told: float | None) -> float:
    """Find when a film began, on the clock of a track.

    Args:
        times: Seconds since the film's start, shape (num_measurements,).
        motion: How fast the picture moves at them, in any unit.
        track: A track that covers the film.
        told: When it began as its own clock says, which goes first if a start near it fits.

    Raises:
        ValueError: If the speed hardly changes, or several starts fit alike.
    """
    if len(times) < 2 / EVERY_S:
        raise ValueError("the film is too short to tell its clock's offset")
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
        f"its clock's offset cannot be told from its motion ({reasons[-1]}; at constant speed "
        "nothing tells it): give --clock-offset SECONDS, 0 if it is right"
    )


def _correlation(motion: Floats, speeds: Floats) -> float:
    """Correlate after ranking, as flow is no linear function of speed; -1 where speed is even."""
    if not speeds.std() > LEAST_CHANGE * speeds.mean():
        return -1.0
    return float(np.corrcoef(_ranks(motion), _ranks(speeds))[0, 1])


def _ranks(values: Floats) -> Floats:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks
