"""Where photos were taken: matches from their rankings."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.evaluation.acceptance import doubts_about
from vpr.evaluation.calibration import Calibration, State
from vpr.locating.ranking import Ranked
from vpr.places.crs import latitude_longitude, lies_nowhere
from vpr.places.index import ImageIndex
from vpr.places.positives import positives_of
from vpr.places.radius import metres_between
from vpr.reranking.verified_pairs import NOTHING
from vpr.retrieval.predictions import Predictions


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
class Position:
    """Where a photo was taken, as its matches say.

    Args:
        latitude: Degrees; None if the data set names no reference system.
        longitude: Degrees; None likewise.
        uncertainty_m: Radius of the circle around it that holds the photo's place with a
            probability of 90 %; None if the data set names no reference system, so that its
            coordinates may count frames, or if it had too few such queries to tell.
        heading: Where the first match looks, and so about the photo, degrees clockwise from true
            north; None if unknown.
    """

    easting: float
    northing: float
    latitude: float | None
    longitude: float | None
    uncertainty_m: float | None
    heading: float | None


@dataclass(frozen=True)
class Located:
    """A photo with its ranked places.

    Args:
        state: Whether the photo shows a known place, one of the map that is unsure, or none of the
            map; None: not calibrated.
        probability: That the best match shows the photo's place, if the photo is like the run's
            queries; None: not calibrated.
        probability_interval: Of the probability; None likewise.
        position: Estimated position; None for a photo that is not of the map, or a map without
            positions.
        matches: Database images, best first.
    """

    photo: str
    state: State | None
    probability: float | None
    probability_interval: tuple[float, float] | None
    position: Position | None
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
        calibration: What answers are derived from; None: nothing is concluded.
        truth: About the set's own queries.
    """

    database: ImageIndex
    globe: NDArray[np.float64] | None
    calibration: Calibration | None
    truth: Truth


def find_queries(photos: Sequence[Path], *folders: Sequence[Path]) -> list[int | None]:
    """Find which query each photo is, by its path; None for other photos.

    Each of `folders` has one path of each query, in the queries' order.
    """
    known = {_identity(path): number for paths in folders for number, path in enumerate(paths)}
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
    *,
    top: int,
) -> list[Located]:
    """Add names, coordinates, a conclusion and, where known, the truth to rankings.

    `queries` has for each photo the number of the query that it is, or None; `top` matches are kept
    of each ranking, which may be longer.
    """
    located = []
    for photo, ranking, number in zip(photos, ranked, queries, strict=True):
        rows = zip(
            ranking.indices.tolist(), ranking.distances.tolist(), ranking.evidence, strict=True
        )
        matches = [
            _match(rank, places, image, distance, evidence, number)
            for rank, (image, distance, evidence) in enumerate(islice(rows, top), start=1)
        ]
        conclusion = _conclude(ranking, places)
        located.append(Located(str(photo), *conclusion, matches))
    return located


def _conclude(
    ranking: Ranked, places: Places
) -> tuple[State | None, float | None, tuple[float, float] | None, Position | None]:
    calibration = places.calibration
    if calibration is None:
        return None, None, None, None
    first = slice(calibration.depth)
    images, pairs = ranking.indices[first], ranking.verified or NOTHING
    predictions = Predictions(
        images[None], ranking.distances[None, first], len(places.database.paths)
    )
    doubts = doubts_about(calibration.by, predictions, pairs.of_predictions(predictions))
    (answer,) = calibration.judge(doubts, places.database.coordinates[images][None])
    position = None
    if answer.state != "unknown" and not np.isnan(answer.middle).any():
        east, north = answer.middle.round(3).tolist()
        latitude = longitude = circle = None
        if places.globe is not None:
            # Over some metres degrees are as good as straight.
            latitude, longitude = (answer.weights @ places.globe[images]).round(7).tolist()
            circle = None if answer.circle_m is None else round(answer.circle_m, 1)
        heading = heading_at(places.database, int(images[0]))
        position = Position(east, north, latitude, longitude, circle, heading)
    return answer.state, answer.probability, answer.interval, position


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
    heading = heading_at(places.database, image)
    return Match(
        rank, image, places.database.paths[image], east, north, latitude, longitude,
        round(distance, 6), metres, correct, inliers, log10_nfa, heading,
    )  # fmt: skip


def heading_at(database: ImageIndex, image: int) -> float | None:
    """Where a database image looks, degrees clockwise from true north; None if unknown."""
    headings = database.heading
    return None if headings is None or np.isnan(headings[image]) else float(headings[image])
