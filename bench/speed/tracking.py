"""Milliseconds a photo that following a drive takes, in maps of 10,000 and 1,000,000 places.

Run from the repository's root: `python -m bench.speed.tracking`. Places lie on a grid of streets,
5 m apart, with random descriptors; the drive follows one street. Describing the photo, searching
and verifying are not timed: up to 10,000 places are all compared with the photo by the filter
itself, in a larger map the 100 most similar, which the search has found, and those near the drive.
It prints the table of docs/experiments/tracking.md.
"""

from __future__ import annotations

import resource
import time

import numpy as np
from numpy.typing import NDArray

from bench.shared import markdown
from vpr.retrieval.filtering import Belief
from vpr.retrieval.following import MOST_WHOLE, Follower

DIM, PHOTOS, FOUND, ALONG = 256, 100, 100, 1000  # places along a street
SIZES = (10_000, 1_000_000)


def draw_map(
    count: int, chance: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Draw descriptors, of which neighbours share a half, and streets 50 m apart."""
    rows = chance.standard_normal((count, DIM), dtype=np.float32)
    rows[1:] += rows[:-1]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    number = np.arange(count)
    return rows, np.column_stack([5.0 * (number % ALONG), 50.0 * (number // ALONG)])


def measure(count: int) -> list[object]:
    """Follow a drive, and write a row of the table."""
    chance = np.random.default_rng(0)
    database, positions = draw_map(count, chance)
    street = np.arange(PHOTOS) + count // 2
    noise = chance.standard_normal((PHOTOS, DIM), dtype=np.float32) / np.sqrt(np.float32(DIM))
    photos = database[street] + 2 * noise
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    start = time.perf_counter()
    follower = Follower(database, positions, [np.arange(count)], radius_m=12, step_m=None)
    learning = time.perf_counter() - start
    found = chance.integers(0, count, (PHOTOS, FOUND))
    found[:, 0] = street  # what a search would find, and chance's
    seconds: list[float] = []
    beliefs: list[Belief] = []
    for number, row in enumerate(photos):
        before = (beliefs[-1], photos[number - 1]) if beliefs else None
        start = time.perf_counter()
        beliefs.append(follower.step(before, row, np.nan, None, np.unique(found[number])))
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    smoothed = follower.filter.smooth(beliefs)
    smoothing = (time.perf_counter() - start) / PHOTOS
    metres = [follower.estimate(belief).position - positions[at]
              for belief, at in zip(smoothed, street, strict=True)]  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        f"{count:,}", "all" if count <= MOST_WHOLE else f"{FOUND} found",
        max(len(belief.places) for belief in beliefs), 1e3 * float(np.median(seconds)),
        1e3 * max(seconds), 1e3 * smoothing, learning, peak,
        float(np.median(np.linalg.norm(metres, axis=1))),
    ]  # fmt: skip


def main() -> None:
    """Print a row for each size."""
    print(markdown.head([
        "places", "compared", "states, at most", "filter, ms a photo", "slowest",
        "smoother, ms a photo more", "start, s", "peak, GiB", "median error, m",
    ]), flush=True)  # fmt: skip
    for count in SIZES:
        print(markdown.row(measure(count)), flush=True)


if __name__ == "__main__":
    main()
