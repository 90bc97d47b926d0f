"""Where photos were taken: matches from their rankings."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.details import Threshold
from vpr.locating.ranking import Ranked
from vpr.places.crs import latitude_longitude, lies_nowhere
from vpr.places.index import ImageIndex
from vpr.places.positives import positives_of
from vpr.places.radius import metres_between


@dataclass(frozen=True)
class Match:
    """A database image that may show the same place as a photo.

    Args:
        rank: Rank from 1, the best.
        image: Index in the database.
        database: Name of the image.
        easting: Metres, or frames; None if the database's positions are unknown.
        northing: Likewise.
        latitude: Degrees; None if the data set names no reference system.
        longitude: Degrees; None likewise.
        distance: Euclidean distance of the descriptors, in [0, 2].
        metres: Distance from the photo; None if it is not a query of the set, or has no position.
        correct: Whether it is a positive; None likewise.
        inliers: Matches of local features that one geometry explains; None without re-ranking.
        log10_nfa: log10 of how often chance would give so many; None without re-ranking.
        heading: Where the database image looks, degrees clockwise from true north; None if unknown.
    """

    rank: int
    image: int
    database: str
    easting: float | None
    northing: float | None
    latitude: float | None
    longitude: float | None
    distance: float
    metres: float | None
    correct: bool | None
    inliers: int | None
    log10_nfa: float | None
    heading: float | None = None


@dataclass(frozen=True)
class Located:
    """A photo with its ranked places.

    Args:
        accepted: Whether the best match is near enough, or has enough inliers, to count as a known
            place; None: not calibrated.
        matches: Database images, best first.
    """

    photo: str
    accepted: bool | None
    matches: list[Match]


@dataclass(frozen=True)
class Truth:
    """The truth about the set's own queries.

    Args:
        query: Index of the queries.
        positives: Query x database; stored entries are the positives.
    """

    query: ImageIndex
    positives: csr_array

    def judge(
        self, number: int | None, image: int, place: NDArray[np.float64]
    ) -> tuple[float | None, bool | None]:
        """Metres and correctness of a database image for a query; None where they are unknown."""
        if number is None:
            return None, None
        metres = float(metres_between(place, self.query.coordinates[number]))
        if math.isnan(metres):
            return None, None
        return round(metres, 3), bool(np.isin(image, positives_of(self.positives, number)))


@dataclass(frozen=True)
class Places:
    """The database's places, and what is known about them.

    Args:
        database: Index of the database.
        globe: Latitude and longitude in degrees, shape (num_database, 2); None if the set names no
            reference system.
    """

    database: ImageIndex
    globe: NDArray[np.float64] | None
    threshold: Threshold
    truth: Truth


def find_queries(photos: Sequence[Path], folders: Sequence[Path]) -> list[int | None]:
    """Find which query each photo is, by its path; None for other photos.

    `folders` has one path of each query, in the queries' order.
    """
    known = {_identity(path): number for number, path in enumerate(folders)}
    return [known.get(_identity(photo)) for photo in photos]


def _identity(path: Path) -> str:
    """Normalise the path of a photo, regardless of how its letters are composed (NFC or NFD)."""
    return unicodedata.normalize("NFC", str(path.resolve()))


def find_globe(coordinates: NDArray[np.float64], crs: str | None) -> NDArray[np.float64] | None:
    """Latitude and longitude of places, (num_places, 2); None if they lie outside their `crs`."""
    if crs is None or np.isnan(coordinates).any():
        return None
    if lies_nowhere(coordinates, crs):
        print(
            f"note: the set's coordinates are outside the area of {crs}, so latitude and longitude "
            "are left out: set dataset.crs to null if coordinates count frames",
            file=sys.stderr,
        )
        return None
    return latitude_longitude(coordinates, crs)


def locate_ranked(
    photos: Sequence[Path],
    ranked: Sequence[Ranked],
    places: Places,
    queries: Sequence[int | None],
) -> list[Located]:
    """Add names, coordinates and, where known, the truth to rankings.

    `queries` has for each photo the number of the query that it is, or None.
    """
    located = []
    for photo, ranking, number in zip(photos, ranked, queries, strict=True):
        rows = zip(
            ranking.indices.tolist(), ranking.distances.tolist(), ranking.evidence, strict=True
        )
        matches = [
            _match(rank, places, image, distance, evidence, number)
            for rank, (image, distance, evidence) in enumerate(rows, start=1)
        ]
        accepted = places.threshold.accepts(float(ranking.distances[0]), matches[0].log10_nfa)
        located.append(Located(str(photo), accepted, matches))
    return located


def _match(
    rank: int, places: Places, image: int, distance: float, evidence: tuple[int, float] | None,
    query: int | None,
) -> Match:  # fmt: skip
    place = places.database.coordinates[image]
    east, north = (None, None) if np.isnan(place).any() else place.tolist()
    latitude, longitude = (
        (None, None) if places.globe is None else places.globe[image].round(7).tolist()
    )
    metres, correct = places.truth.judge(query, image, place)
    inliers, log10_nfa = evidence or (None, None)
    headings = places.database.heading
    heading = None if headings is None or np.isnan(headings[image]) else float(headings[image])
    return Match(
        rank, image, places.database.paths[image], east, north, latitude, longitude,
        round(distance, 6), metres, correct, inliers, log10_nfa, heading,
    )  # fmt: skip
