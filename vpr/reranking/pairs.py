"""A query and one database image, verified by geometry, and what is gathered of several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules
from vpr.matchers.base.photos import PhotoMatcher
from vpr.reranking.reranking import Stop, chance_of_inlier, log10_false_alarms
from vpr.reranking.verified_pairs import NOT_VERIFIED, WHOLE, VerifiedPairs


class Pair(NamedTuple):
    """What verification finds of a query and one database image.

    Args:
        places: Where the inliers are, as in `VerifiedPairs.places`, at any size of the images,
            shape (num_inliers, 2, 2).
        num_matches: Matches before geometry.
        log10_nfa: See `log10_false_alarms`.
    """

    places: NDArray[np.uint16]
    num_matches: int
    log10_nfa: float


class Task(NamedTuple):
    """A query, and the database images that it is verified against, in the retrieval's order.

    Args:
        query: Points of the query.
        candidates: Database indices, shape (num_candidates,).
        distances: Of the descriptors, same shape.
        points: Points of the candidates.
    """

    query: LocalPoints
    candidates: NDArray[np.int64]
    distances: NDArray[np.float32]
    points: list[LocalPoints]


def verify_pair(matcher: Matcher, rules: Rules, query: LocalPoints, database: LocalPoints) -> Pair:
    """Find where the inliers of a query and a database image are, and how surely it is not chance.

    The likelier of the two images' chances counts, so that NFA is that of either at most.
    """
    if isinstance(matcher, PhotoMatcher):
        query, database = matcher.find(query, database)
    inliers, num_matches = matcher.verify(query, database, rules)
    shares = [
        image.points[rows] / np.array(image.size[::-1], np.float64)
        for image, rows in zip((query, database), inliers.T, strict=True)
    ]
    places: NDArray[np.uint16] = np.rint(np.stack(shares, axis=1).clip(0, 1) * WHOLE).astype(
        np.uint16
    )
    chance = max(
        chance_of_inlier(rules.geometry, image.size, tolerance_px=rules.tolerance_px)
        for image in (query, database)
    )
    surprise = log10_false_alarms(
        rules.geometry, num_matches=num_matches, num_inliers=len(inliers), chance=chance
    )
    return Pair(places, num_matches, surprise)


def gather_pairs(task: Task, pairs: Iterable[Pair], *, stop: Stop) -> VerifiedPairs:
    """Gather what `verify_pair` finds for one query and each of its candidates, in their order.

    No more pairs are drawn once the rule says that the query's first predictions are settled.
    """
    drawn = draw_pairs(task, pairs, stop)
    matches = np.full((1, len(task.candidates)), NOT_VERIFIED)
    inliers, log10_nfa = np.zeros_like(matches), np.zeros(matches.shape)
    for rank, pair in enumerate(drawn):
        matches[0, rank], inliers[0, rank] = pair.num_matches, len(pair.places)
        log10_nfa[0, rank] = round(pair.log10_nfa, 6)
    places = np.concatenate([pair.places for pair in drawn])
    return VerifiedPairs(task.candidates[None], matches, inliers, log10_nfa, places)


def draw_pairs(task: Task, pairs: Iterable[Pair], stop: Stop) -> list[Pair]:
    """Draw pairs of a query, in order, until the rule says that the rest changes nothing."""
    most = np.array([min(task.query.most_matches, im.most_matches) for im in task.points])
    drawn: list[Pair] = []
    for pair in pairs:
        drawn.append(pair)
        inliers = np.array([len(pair.places) for pair in drawn])
        if stop.settles(task.distances, inliers, most):
            break
    return drawn
