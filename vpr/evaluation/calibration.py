"""Known, unsure or unknown: which place a photo shows, how surely, and how that was calibrated.

Two questions with a threshold each. Is the photo of this map at all? The doubt about its first
prediction decides (`vpr.evaluation.acceptance`). Which place of the map? The support of the first
prediction decides: how strong its evidence is, and how far it leads the best prediction elsewhere.
The support of wrong places is measured by masking the right ones of each query. The position is the
mean of the predictions that agree, with a circle around it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit, ndtri

from vpr.evaluation.params import By
from vpr.places.radius import is_within

State = Literal["known", "unsure", "unknown"]
APART = 2  # radii between places that are different for sure: the radius, and as much of a margin
LEVEL = 0.9  # share of the stated circles that are to hold the photo's place
LEVELS = (0.5, 0.6, 0.7, 0.8, LEVEL, 0.95)  # of the chart


@dataclass(frozen=True)
class Ranked:
    """Predictions of photos: how doubtful each is, and where it was taken.

    Args:
        by: Source of the doubts.
        doubts: About each prediction, shape (num_photos, depth); NaN of one that is masked.
        places: Easting and northing of each, shape (num_photos, depth, 2).
        radius_m: Within which database images show the same place.
    """

    by: By
    doubts: NDArray[np.float64]
    places: NDArray[np.float64]
    radius_m: float

    def support(self) -> NDArray[np.float64]:
        """Measure what speaks for the first prediction of each photo.

        Returns:
            Strength, which is minus the doubt, and lead, which is by how much the doubt about the
            best prediction elsewhere is larger: shape (num_photos, 2). Where all predictions are of
            one place, the next one counts as no nearer than the last, or as without inliers.
        """
        doubts, places = self.doubts, self.places
        elsewhere = ~is_within(places, places[:, :1], radius_m=APART * self.radius_m)
        worst = np.zeros(len(doubts)) if self.by == "inliers" else np.nanmax(doubts, axis=1)
        rivals = np.where(elsewhere & ~np.isnan(doubts), doubts, worst[:, None]).min(axis=1)
        return np.stack([-doubts[:, 0], rivals - doubts[:, 0]], axis=1)

    def weights(self) -> NDArray[np.float64]:
        """Weigh the predictions whose mean is the estimated position.

        By inliers those within the radius of the first agree with it, and each counts by the square
        of its log10 NFA; unverified ones do not count. By distance the first counts alone, since
        descriptors do not tell its neighbours apart.

        Returns:
            Shape (num_photos, depth); those of a photo add up to 1.
        """
        weights = np.zeros(self.doubts.shape)
        if self.by == "inliers":
            agree = is_within(self.places, self.places[:, :1], radius_m=self.radius_m)
            weights = np.where(agree, self.doubts**2, 0.0)
        weights[weights.sum(axis=1) == 0, 0] = 1.0
        shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True)
class PlaceModel:
    """Probability that the first prediction is right, by its support (Platt's scaling).

    Platt, Probabilistic Outputs for Support Vector Machines, 1999; of two measures instead of one.

    Args:
        weights: Of the signed roots of strength and lead, and 1: the log odds.
        covariance: Of the weights, shape (3, 3), by leaving out blocks of the route; of zeros where
            there are no blocks.
        least_log_odds: Which wrong places exceed at the false-acceptance rate.
    """

    weights: list[float]
    covariance: list[list[float]]
    least_log_odds: float

    def log_odds(self, support: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log odds of being right, shape (num_queries,)."""
        odds: NDArray[np.float64] = find_features(support) @ np.array(self.weights)
        return odds

    def interval(self, support: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
        """Interval of the probability, shape (num_queries, 2)."""
        features = find_features(support)
        spread = np.einsum("qi,ij,qj->q", features, np.array(self.covariance), features)
        reach = ndtri((1 + confidence) / 2) * np.sqrt(spread.clip(min=0))
        centre = self.log_odds(support)
        bounds: NDArray[np.float64] = expit(np.stack([centre - reach, centre + reach], axis=1))
        return bounds


def find_features(support: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed roots of strength and lead, and 1: shape (num_queries, 3)."""
    roots = np.sign(support) * np.sqrt(np.abs(support))
    return np.column_stack([roots, np.ones(len(roots))])


@dataclass(frozen=True)
class Calibration:
    """What answers about photos are derived from; recorded by the stage evaluate.

    Args:
        by: Source of the doubts.
        depth: Predictions of a photo that are looked at, at most.
        radius_m: Within which database images show the same place.
        confidence: Of the intervals.
        map_limit: The largest doubt about a photo of this map; None: not calibrated.
        place: Model of the right place; None: not calibrated, so no place is known.
        circles_m: Radius of the circle that holds the place of 90 % of the photos, by state, and
            `any` for photos of the map whose state is not decided; None: too few to tell.
    """

    by: By
    depth: int
    radius_m: float
    confidence: float
    map_limit: float | None
    place: PlaceModel | None
    circles_m: dict[str, float | None]

    @property
    def decides(self) -> bool:
        """Whether photos get a state."""
        return self.map_limit is not None

    def judge(self, doubts: NDArray[np.float64], places: NDArray[np.float64]) -> list[Judgement]:
        """Draw the conclusion from the first `depth` predictions of each photo.

        Args:
            doubts: About each prediction, shape (num_photos, depth).
            places: Easting and northing of each, shape (num_photos, depth, 2).
        """
        count, place = len(doubts), self.place
        ranked = Ranked(self.by, doubts, places, self.radius_m)
        states: list[State | None] = [None] * count
        chances: list[float | None] = [None] * count
        intervals: list[tuple[float, float] | None] = [None] * count
        if self.map_limit is not None:
            support = ranked.support()
            log_odds = np.full(count, -np.inf) if place is None else place.log_odds(support)
            least = 0.0 if place is None else place.least_log_odds
            states = [*find_states(doubts[:, 0], log_odds, self.map_limit, least)]
            if place is not None:
                chances = expit(log_odds).round(6).tolist()
                bounds = place.interval(support, self.confidence).round(6)
                intervals = [(low, high) for low, high in bounds.tolist()]
        weights = ranked.weights()
        answers = zip(states, chances, intervals, mean_place(weights, places), weights, strict=True)
        return [
            Judgement(*answer, self.circles_m.get(answer[0] or "any"))  # its circle by its state
            for answer in answers
        ]


@dataclass(frozen=True)
class Judgement:
    """What is concluded about a photo.

    Args:
        state: None: not calibrated.
        probability: That the first prediction is right, of photos like the queries; None: not
            calibrated.
        interval: Of the probability; None likewise.
        middle: Estimated easting and northing, shape (2,).
        weights: Of the predictions in it, shape (depth,).
        circle_m: Radius around it that holds the photo's place with a probability of 90 %; None:
            unknown place, or too few queries of this state.
    """

    state: State | None
    probability: float | None
    interval: tuple[float, float] | None
    middle: NDArray[np.float64]
    weights: NDArray[np.float64]
    circle_m: float | None


def find_states(
    doubts: NDArray[np.float64],
    log_odds: NDArray[np.float64],
    map_limit: float,
    least_log_odds: float,
) -> list[State]:
    """Decide for each photo: not of the map, of an unsure place, or of a known one."""
    return [
        "unknown" if doubt > map_limit else "known" if odds > least_log_odds else "unsure"
        for doubt, odds in zip(doubts.tolist(), log_odds.tolist(), strict=True)
    ]


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration as JSON."""
    path.write_text(json.dumps(asdict(calibration), indent=2, allow_nan=False) + "\n")


def load_calibration(path: Path) -> Calibration:
    """Read what `save_calibration` wrote.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        return TypeAdapter(Calibration).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise ValueError(
            f"{path}: damaged: {place}: {problem['msg']}: restore it with `git checkout`, "
            "or make it again with `dvc repro`"
        ) from None


def mean_place(weights: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average places (num_photos, depth, 2) by `Ranked.weights`; shape (num_photos, 2)."""
    first = places[:, :1]  # the offsets from it keep the digits of UTM coordinates
    mean: NDArray[np.float64] = first[:, 0] + np.einsum("qd,qdx->qx", weights, places - first)
    return mean


def circle_radius(errors_m: NDArray[np.float64], level: float = LEVEL) -> float | None:
    """Find the radius that holds a new photo's place with this probability (split conformal).

    It is the ceil((n + 1) level)-th smallest of n errors (Vovk, Gammerman and Shafer, Algorithmic
    Learning in a Random World, 2005), which assumes that photos are exchangeable.

    Returns:
        None if the errors are too few for the level: 9 of them give 90 %.
    """
    known = np.sort(errors_m[~np.isnan(errors_m)])  # of places whose position is
    rank = math.ceil((len(known) + 1) * level - 1e-9)
    return float(known[rank - 1]) if rank <= len(known) else None
