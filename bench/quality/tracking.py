"""Drives followed: single photos against lines, the filter and the smoother.

Run from the repository's root: `python -m bench.quality.tracking`. It runs the pipeline up to the
inliers in a temporary clone that shares this repository's cache, makes drives with stops, loops and
turning back out of the demo's queries, and prints the tables of docs/experiments/tracking.md.
`--gardens-point` takes Gardens Point instead, which is looked at once; VPR_REAL_DATA names its
folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.paired import compare
from bench.quality.results import RERANKED, gardens_point
from bench.shared import markdown
from bench.shared.trials import run_stages, temporary_clone
from vpr.places.index import load_index
from vpr.places.positives import load_positives, load_radius
from vpr.places.radius import metres_between
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.following import Follower
from vpr.retrieval.predictions import load_predictions
from vpr.retrieval.sequences import rank_descriptors

LENGTH, VELOCITIES = 11, [0.6, 0.8, 1.0, 1.2, 1.4, 1.6]  # those of results.md
NOISE = 0.05  # of simulated odometry, as a share of the metres

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Found(NamedTuple):
    """What a way says about the photos of a drive; the last two may be empty.

    Args:
        places: First database image, shape (num_photos,).
        position: Easting and northing, shape (num_photos, 2).
        circle_m: Radius that is to hold 90 %, shape (num_photos,).
        states: Of each photo, same shape.
    """

    places: Ints
    position: Floats
    circle_m: Floats
    states: NDArray[np.str_]


class Set:
    """A finished run in the current folder of a clone."""

    def __init__(self, clone: Path, velocities: list[float]) -> None:
        """Load what drives are followed with."""
        data = clone / "data"
        self.database, self.query = (
            np.load(data / "whitened" / f"{side}.npy") for side in ("database", "query")
        )
        self.places, self.truth = (
            load_index(data / "prepared" / f"{side}.csv").coordinates
            for side in ("database", "query")
        )
        self.on_map = np.diff(load_positives(data / "prepared" / "positives.npz").indptr) > 0
        self.radius_m = load_radius(data / "prepared" / "radius.json")
        self.alone = load_predictions(data / "reranked.npz").indices[:, 0]
        self.retrieved = load_predictions(data / "predictions.npz").indices
        self.pairs = load_verified(data / "verified")
        self.velocities = velocities
        self.follower = Follower(
            self.database, self.places, [np.arange(len(self.places))], radius_m=self.radius_m,
            step_m=None,
        )  # fmt: skip

    def ways(self, drive: Ints) -> Iterator[tuple[str, Found]]:
        """Locate the photos of a drive in every way."""
        yield "single photo", self._of(self.retrieved[drive, 0])
        yield "single photo, verified", self._of(self.alone[drive])
        rows = self.query[drive]
        lines = rank_descriptors(
            self.database, rows, [np.arange(len(drive))], [np.arange(len(self.places))],
            length=LENGTH, velocities=self.velocities, reach=None, top_k=1,
        )  # fmt: skip
        yield f"lines of {LENGTH}", self._of(lines[:, 0])
        chance = np.random.default_rng(0)
        metres = metres_between(self.truth[drive][1:], self.truth[drive][:-1])
        measured = np.concatenate([[np.nan], metres * chance.normal(1, NOISE, len(metres))])
        pairs = self.pairs.candidates[drive], self.pairs.log10_nfa[drive]
        for name, verified in (("", None), (", verified", pairs)):
            for words, moved_m in (("", np.full(len(drive), np.nan)), (", odometry", measured)):
                beliefs = self.follower.follow(rows, self.retrieved[drive], moved_m, verified)
                for method, those in (
                    ("filter", beliefs), ("smoother", self.follower.filter.smooth(beliefs)),
                ):  # fmt: skip
                    said = [self.follower.estimate(belief) for belief in those]
                    fields = zip(
                        *((e.place, e.position, e.circle_m, e.state) for e in said), strict=True
                    )
                    yield method + words + name, Found(*map(np.array, fields))

    def _of(self, places: Ints) -> Found:
        return Found(
            places, self.places[places], np.full(len(places), np.nan), np.full(len(places), "")
        )

    def row(self, drive: Ints, found: Found, before: Ints) -> tuple[list[str], Ints]:
        """Describe a way in cells, against the ranks of another; return its ranks, too."""
        truth, on_map = self.truth[drive], self.on_map[drive]
        first = metres_between(self.places[found.places], truth)[on_map]
        ranks = np.where(first <= self.radius_m, 1, 2)
        metres = metres_between(found.position, truth)[on_map]
        cells = [
            f"{(ranks == 1).mean():.3f}",
            compare(before, ranks) if len(before) else "–",
            f"{np.median(metres):.1f}, {metres.mean():.1f}",
        ]
        if "" in found.states:
            return [*cells, "–", "–", "–"], ranks
        is_off, known = found.states == "unknown", found.states == "known"
        held = metres_between(found.position, truth) <= found.circle_m
        for state in (known & on_map, ~known & ~is_off & on_map):
            cells.append(_share(held, state))
        cells.append(f"{_share(is_off, ~on_map)}; {_share(is_off, on_map)}")
        return cells, ranks


def _share(flags: NDArray[np.bool_], those: NDArray[np.bool_]) -> str:
    return f"{flags[those].mean():.2f} of {those.sum()}" if those.any() else "none"


def make_drives(on_map: NDArray[np.bool_]) -> dict[str, Ints]:
    """Make drives of a side's queries, which drive past the map once, from end to end."""
    on, off = np.flatnonzero(on_map), np.flatnonzero(~on_map)
    half, third = len(on) // 2, len(on) // 3
    stops = np.repeat(on, np.where(np.arange(len(on)) % 25 == 12, 8, 1))
    drives = {
        "as driven": np.arange(len(on_map)),
        "with stops": stops,
        "turning back": np.concatenate([on[: 2 * third], on[third : 2 * third][::-1], on[third:]]),
        "in loops": np.concatenate([on[third : 2 * third]] * 3 + [on[2 * third :], on[:third]]),
    }
    if len(off):
        drives["leaving the map"] = np.concatenate([on[:half], off, on[half + 5 :]])
    return drives


def main() -> None:
    """Print a table for each set and drive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--gardens-point", action="store_true")
    asked = parser.parse_args()
    longer: dict[str, object] = {
        "sample.seed": 1, "sample.num_query": 160, "sample.off_map": 40
    }  # fmt: skip
    sets = (
        gardens_point()
        if asked.gardens_point
        else {"Demo": {}, "Demo, another street, 40 of 160 queries off the map": longer}
    )
    names = [
        "way", "recall@1", "against the single photo", "metres: median, mean",
        "circles that hold: known", "unsure", "off the map found; falsely",
    ]  # fmt: skip
    with temporary_clone() as clone:
        for name, parameters in sets.items():
            run_stages(clone, parameters | RERANKED | {"inliers.stop": None}, "order")
            one = Set(clone, [1.0] if asked.gardens_point else VELOCITIES)
            for title, drive in make_drives(one.on_map).items():
                if asked.gardens_point and title != "as driven":
                    continue
                print(f"\n### {name}, {title}, {len(drive)} photos\n\n{markdown.head(names)}")
                before = np.empty(0, np.int64)
                for way, found in one.ways(drive):
                    cells, ranks = one.row(drive, found, before)
                    before = before if len(before) else ranks
                    print(markdown.row([way, *cells]), flush=True)


if __name__ == "__main__":
    main()
