"""Likelihood ratio of a place, given a photo's similarity to it, learnt on the database."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.filtering import Evidence, Floats, Ints

BACKGROUND = 1000  # places that a similarity is compared with, spread over the database
MOST_LEARNT = 500  # places that are used as queries
APART = 2  # radii between places that are different for sure
TRUST = 0.5  # of what is learnt: queries differ from the database in light and season
FEWEST = 20  # pairs of one place that something can be learnt from
DEMO, ALIKE = (0.9, -0.55), 0.5  # learnt on the demo's database, for others with too few pairs

# A probability p to be verified so well by chance bets BET * p ** (BET - 1) against chance (Vovk
# and Wang, E-values, Annals of Statistics 2021). log10 of p falls more slowly than log10 NFA, by
# DISPERSION: candidates are the most similar of many, and neighbouring photos repeat one another.
BET = 0.1
DISPERSION = 60.0

Rows = NDArray[np.float32]
Verified = tuple[Ints, Floats]  # places whose geometry was verified, and their log10 NFA


@dataclass(frozen=True, eq=False)
class Contrast:
    """Log likelihood ratio of a place, by how far its similarity stands out of the background's.

    With f1 and f0 the densities of that contrast for pairs of one place and of different ones, the
    likelihood of all similarities of a photo, if it shows place i, is f1(i) / f0(i) times one that
    is the same for every place, also for none of them. Both are learnt as the slope and intercept
    of a logistic regression (Platt 1999).

    Args:
        background: Descriptors of places spread over the database, shape (num_background, dim).
        slope: Of the log ratio, per standard deviation of the background.
        intercept: Of the log ratio.
        most: The largest log ratio that so many places can show.
        alike: Median cosine of the descriptors of neighbouring places.
        is_learnt: Whether the database had pairs to learn from.
    """

    background: Rows
    slope: float
    intercept: float
    most: float
    alike: float
    is_learnt: bool

    def newness(self, row: Rows, before: Rows) -> float:
        """Compare how much a photo differs from the one before with how much neighbours do.

        Returns:
            In [0, 1]; near 0 where the camera stands still.
        """
        return float(np.clip((1 - row @ before) / max(1 - self.alike, 1e-3), 0, 1))

    def of(self, query: Rows, database: Rows, verified: Verified | None = None) -> Evidence:
        """Compute the evidence of a photo.

        Args:
            query: Its descriptor, shape (dim,).
            database: Descriptors of all places, shape (num_places, dim), in memory or mapped.
            verified: Shape (num_candidates,) each; None: nothing was verified.

        Returns:
            Log likelihood ratios of places, by their indices, which ascend.
        """
        others = self.background @ query
        middle, deviation = float(others.mean()), float(others.std()) + 1e-6

        def ratios(places: Ints) -> Floats:
            rows = database if len(places) == len(database) else database[places]  # all: no copy
            contrast = (rows @ query - middle) / deviation
            found: Floats = self.slope * contrast.astype(np.float64) + self.intercept
            if verified is not None:
                log10_nfa = np.where(places[:, None] == verified[0], verified[1], 0.0).sum(axis=1)
                found += math.log(BET) + (BET - 1) * math.log(10) / DISPERSION * log10_nfa
            return self.most * np.tanh(found / self.most)  # bounded, and in the same order

        return ratios


def learn_contrast(database: Rows, positions: Floats, *, radius_m: float) -> Contrast:
    """Learn the likelihood ratio of similarities from pairs of the database, without queries.

    Args:
        database: Unit rows, shape (num_places, dim).
        positions: Easting and northing, shape (num_places, 2).
        radius_m: Within which two photos show the same place.

    Returns:
        The contrast; with too few pairs of one place, with the values of the demo's database.
    """
    from scipy.spatial import cKDTree  # both here, since they take a second to import
    from sklearn.linear_model import LogisticRegression

    count = len(database)
    spread = np.unique(np.linspace(0, count - 1, BACKGROUND).round().astype(np.int64))
    rows = spread[:: math.ceil(len(spread) / MOST_LEARNT)]
    background = np.array(database[spread])
    if count == 1:  # it differs from nothing
        return Contrast(background, *DEMO, math.log(2), ALIKE, is_learnt=False)
    centred = positions - positions.mean(axis=0)
    near = cKDTree(centred).query_ball_point(centred[rows], radius_m)
    same: list[Floats] = []
    other: list[Floats] = []
    alike = []
    for row, neighbours in zip(rows, near, strict=True):
        is_far = np.linalg.norm(centred[spread] - centred[row], axis=1) > APART * radius_m
        similar = background @ database[row]
        middle, deviation = similar[spread != row].mean(), similar[spread != row].std() + 1e-6
        others = np.array([place for place in neighbours if place != row], np.int64)
        near_by = database[others] @ database[row]
        same.append((near_by - middle) / deviation)
        if len(others):
            metres = np.linalg.norm(centred[others] - centred[row], axis=1)
            alike.append(float(near_by[np.argmin(metres)]))
        other.append((similar[is_far] - middle) / deviation)
    contrasts = [np.concatenate(of) for of in (same, other)]
    most = math.log(len(spread))
    if min(map(len, contrasts)) < FEWEST:
        return Contrast(background, *DEMO, most, ALIKE, is_learnt=False)
    is_same = np.arange(sum(map(len, contrasts))) < len(contrasts[0])
    model = LogisticRegression(class_weight="balanced").fit(
        np.concatenate(contrasts)[:, None], is_same
    )
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    scaled = TRUST * slope, TRUST * intercept
    return Contrast(background, *scaled, most, float(np.median(alike)), is_learnt=True)
