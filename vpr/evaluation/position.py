"""Where a photo was taken: the mean of the predictions that agree, with a circle around it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vpr.evaluation.params import By
from vpr.places.radius import is_within

LEVEL = 0.9  # share of the stated circles that are to hold the photo's place
LEVELS = (0.5, 0.6, 0.7, 0.8, LEVEL, 0.95)  # of the chart


def weigh_places(
    by: By, doubts: NDArray[np.float64], places: NDArray[np.float64], *, radius_m: float
) -> NDArray[np.float64]:
    """Weigh the predictions whose mean is the estimated position.

    By inliers those within the radius of the first agree with it, and each counts by the square of
    its log10 NFA; unverified ones do not count. By distance the first counts alone, since
    descriptors do not tell its neighbours apart.

    Args:
        by: Source of the doubts.
        doubts: About each prediction, shape (num_queries, depth).
        places: Easting and northing of each, shape (num_queries, depth, 2).
        radius_m: Within which database images show the same place.

    Returns:
        Weights of the shape of `doubts`; those of a query add up to 1.
    """
    weights = np.zeros(doubts.shape)
    if by == "inliers":
        agree = is_within(places, places[:, :1], radius_m=radius_m)
        weights = np.where(agree, doubts**2, 0.0)
    weights[weights.sum(axis=1) == 0, 0] = 1.0
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def mean_place(weights: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average places (num_queries, depth, 2) by `weigh_places`; shape (num_queries, 2)."""
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
