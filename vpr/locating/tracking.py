"""A drive located photo by photo, each with what the photos before it tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.evaluation.calibration import State
from vpr.locating.loading import check_run, load_places, load_ranker
from vpr.locating.matches import Places, Position, heading_at
from vpr.locating.ranking import Ranked, Ranker
from vpr.places.crs import latitude_longitude
from vpr.places.index import find_recordings
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.filtering import Belief
from vpr.retrieval.following import Follower
from vpr.retrieval.params import SequenceParams
from vpr.run_files import LOCK, WHITENED

Before = tuple[Belief, NDArray[np.float32]]  # about a photo, with its descriptor


@dataclass(frozen=True)
class Tracked:
    """Where a photo of a drive was taken.

    Args:
        photo: Its name.
        time: Seconds since 1970; None: unknown.
        state: `unknown`: more probably off the map than on it.
        probability: That the photo shows the place of `database`.
        off_map: Probability that it is off the map.
        database: Name of the most probable image; None if it is unknown.
        position: Mean of the places near that, with the circle that holds 90 % of the probability
            on the map; None likewise.
    """

    photo: str
    time: float | None
    state: State
    probability: float
    off_map: float
    database: str | None
    position: Position | None


class Tracker:
    """Follows drives through the places of a run; the beliefs are the caller's to keep.

    Args:
        ranker: What photos are ranked with.
        places: The database's places.
        whitened: What is searched, shape (num_places, dim), in memory or mapped.
        crs: Reference system of the places; None: of no place on Earth.
        step_m: Mean metres from one photo to the next; None: 5 spacings of the database.

    Raises:
        ValueError: If the places are not known.
    """

    def __init__(
        self,
        ranker: Ranker,
        places: Places,
        whitened: NDArray[np.float32],
        *,
        crs: str | None,
        step_m: float | None,
    ) -> None:
        """Learn what similarities to the database say."""
        database = places.database
        if places.calibration is None or not database.has_places:
            raise ValueError("a drive can be followed only where the database's places are known")
        self.ranker, self.places = ranker, places
        self.crs = None if places.globe is None else crs
        self.follower = Follower(
            whitened, database.coordinates, find_recordings(database.sequence, len(whitened)),
            radius_m=places.calibration.radius_m, step_m=step_m,
        )  # fmt: skip

    def step(
        self,
        before: Before | None,
        ranked: Ranked,
        moved_m: float = math.nan,
        pace: float = 1.0,
    ) -> Before:
        """Follow a drive to its next photo.

        Args:
            before: What it returned for the photo before; None: the drive begins.
            ranked: Ranking of the photo.
            moved_m: Metres moved since the photo before; NaN: unknown.
            pace: Seconds since the photo before, in the drive's usual ones.
        """
        pairs, verified = ranked.verified, None
        if pairs is not None:
            verified = pairs.candidates[0], pairs.log10_nfa[0]
        belief = self.follower.step(before, ranked.row, moved_m, verified, ranked.indices, pace)
        return belief, ranked.row

    def follow(
        self, drive: Iterable[Ranked], paces: Iterable[float] = repeat(1.0)
    ) -> Iterator[Belief]:
        """Follow the photos of one drive, ranked in order.

        Args:
            drive: The rankings.
            paces: Seconds before each photo, in the drive's usual ones.
        """
        before: Before | None = None
        for ranked, pace in zip(drive, paces, strict=False):
            before = self.step(before, ranked, pace=pace)
            yield before[0]

    def describe(self, belief: Belief, photo: str, time: float | None = None) -> Tracked:
        """Say where a photo was taken."""
        found = self.follower.estimate(belief)
        chances = round(found.probability, 6), round(found.off_map, 6)
        if found.state == "unknown":
            return Tracked(photo, time, found.state, *chances, None, None)
        east, north = found.position.round(3).tolist()
        globe: tuple[float | None, float | None, float | None] = (None, None, None)
        if self.crs is not None:
            degrees = latitude_longitude(found.position[None], self.crs)[0].round(7).tolist()
            globe = (degrees[0], degrees[1], round(found.circle_m, 1))
        database = self.places.database
        position = Position(east, north, *globe, heading_at(database, found.place))
        path = database.paths[found.place]
        return Tracked(photo, time, found.state, *chances, path, position)


def load_tracker(run: Path, *, step_m: float | None) -> Tracker:
    """Load what a finished run follows drives with; `step_m` None is that of the run.

    Raises:
        ValueError: If a file is missing or damaged, or the places are not known.
    """
    check_run(run, with_images=False)
    dataset, places = load_places(run)
    whitened = load_descriptors(run / WHITENED)
    sequence = locked_params("order", "sequence", SequenceParams, lock=run / LOCK)
    return Tracker(
        load_ranker(run, whitened), places, whitened, crs=dataset.crs,
        step_m=step_m or sequence.step_m,
    )  # fmt: skip
