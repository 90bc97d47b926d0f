"""Drives followed through a database: the beliefs about their photos, and what these rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vpr.retrieval.evidence import Rows, Verified, learn_contrast
from vpr.retrieval.filtering import Belief, Estimate, Floats, Ints, PlaceFilter

MOST_WHOLE = 10_000  # places that are all looked at for each photo
STANDS = 0.15  # newness of a photo below which the camera stands still
STEP = 5.0  # spacings of the database from one photo of a drive to the next, if nothing tells more
COLUMNS = ("index", "place", "probability", "easting", "northing", "circle_m", "off_map")


def find_spacing(positions: Floats, recordings: Sequence[Ints], *, radius_m: float) -> float:
    """Median metres between neighbours of a recording; the radius if all are at one place."""
    steps = [np.linalg.norm(np.diff(positions[images], axis=0), axis=1) for images in recordings]
    metres = np.concatenate(steps)
    return float(np.median(metres[metres > 0])) if (metres > 0).any() else radius_m


class Follower:
    """Follows drives through one database.

    Args:
        database: Unit rows, shape (num_places, dim), in memory or mapped.
        positions: Easting and northing, shape (num_places, 2).
        recordings: Database images of each recording, in order.
        radius_m: Within which two photos show the same place.
        step_m: Mean metres from one photo of a drive to the next, where they are not measured;
            None: 5 spacings of the database.
    """

    def __init__(
        self,
        database: Rows,
        positions: Floats,
        recordings: Sequence[Ints],
        *,
        radius_m: float,
        step_m: float | None,
    ) -> None:
        """Learn what similarities say."""
        self.database, self.radius_m = database, radius_m
        self.contrast = learn_contrast(database, positions, radius_m=radius_m)
        spacing_m = find_spacing(positions, recordings, radius_m=radius_m)
        self.filter = PlaceFilter(positions, step_m=step_m or STEP * spacing_m, spacing_m=spacing_m)

    def step(
        self,
        before: tuple[Belief, Rows] | None,
        row: Rows,
        moved_m: float,
        verified: Verified | None,
        candidates: Ints,
        pace: float = 1.0,
    ) -> Belief:
        """Follow a drive to its next photo.

        Args:
            before: Belief about the photo before, and its descriptor; None: the drive begins.
            row: Descriptor of the photo, shape (dim,).
            moved_m: Metres moved since the photo before; NaN: unknown, and a photo that hardly
                differs from the one before was taken at the same place.
            verified: Shape (num_candidates,) each; None: nothing was verified.
            candidates: The most similar places, if there are more than 10,000: only at these may
                the drive enter the map then.
            pace: As for `PlaceFilter.step`.
        """
        is_small = len(self.database) <= MOST_WHOLE
        places = np.arange(len(self.database)) if is_small else np.sort(candidates)
        evidence = self.contrast.of(row, self.database, verified)
        if before is None:
            return self.filter.step(None, evidence, places)
        newness = self.contrast.newness(row, before[1])
        if math.isnan(moved_m) and newness < STANDS:
            moved_m = newness * self.filter.spacing_m
        return self.filter.step(before[0], evidence, places, moved_m, pace)

    def follow(
        self, query: Rows, ranked: Ints, moved_m: Floats, verified: Verified | None
    ) -> list[Belief]:
        """Follow one drive.

        Args:
            query: Unit rows in the order of the drive, shape (num_photos, dim).
            ranked: The most similar places of each, shape (num_photos, depth).
            moved_m: Metres moved before each photo, NaN where unknown, shape (num_photos,).
            verified: Shape (num_photos, num_candidates) each; None: nothing was verified.
        """
        beliefs: list[Belief] = []
        for number, row in enumerate(query):
            pairs = None if verified is None else (verified[0][number], verified[1][number])
            before = (beliefs[-1], query[number - 1]) if beliefs else None
            beliefs.append(self.step(before, row, moved_m[number], pairs, ranked[number]))
        return beliefs

    def follow_all(
        self,
        query: Rows,
        ranked: Ints,
        drives: Sequence[Ints],
        odometry: Floats | None,
        verified: Verified | None,
        *,
        smooth: bool,
    ) -> list[Belief]:
        """Follow every drive of the queries.

        Args:
            query: Unit rows, shape (num_queries, dim).
            ranked: The most similar places of each, shape (num_queries, depth).
            drives: Queries of each drive, in order; together they are all.
            odometry: Metres travelled, shape (num_queries,); None: unknown.
            verified: As for `follow`, of all queries.
            smooth: Whether each belief also knows the photos after it.

        Returns:
            Beliefs in the order of the queries.
        """
        beliefs: dict[int, Belief] = {}
        for photos in drives:
            moved_m = np.full(len(photos), np.nan)
            if odometry is not None:
                moved_m[1:] = np.abs(np.diff(odometry[photos]))
            pairs = None if verified is None else (verified[0][photos], verified[1][photos])
            found = self.follow(query[photos], ranked[photos], moved_m, pairs)
            found = self.filter.smooth(found) if smooth else found
            beliefs |= zip(photos.tolist(), found, strict=True)
        return [beliefs[photo] for photo in range(len(query))]

    def rank(self, beliefs: Sequence[Belief], query: Rows, top_k: int) -> Ints:
        """Rank places by their probability, and those that have none by similarity.

        Returns:
            Database indices, best first, shape (num_queries, top_k).
        """
        rows = []
        for belief, row in zip(beliefs, query, strict=True):
            probability = np.zeros(len(self.database))
            probability[belief.places] = belief.probability
            rows.append(np.lexsort((-(self.database @ row), -probability))[:top_k])
        return np.stack(rows)

    def estimate(self, belief: Belief) -> Estimate:
        """Say where a belief is."""
        return self.filter.estimate(belief, radius_m=self.radius_m)


def save_estimates(path: Path, estimates: Sequence[Estimate]) -> None:
    """Write a row for each photo: the columns of `Estimate`, the position in metres."""
    rows = [
        f"{number},{of.place},{of.probability:.6f},{of.position[0]:.3f},{of.position[1]:.3f},"
        f"{of.circle_m:.3f},{of.off_map:.6f}"
        for number, of in enumerate(estimates)
    ]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
