"""The first candidates of each query, verified by geometry."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.console.progress import track
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, uses_gpu
from vpr.matchers.base.photos import PhotoMatcher, in_memory
from vpr.matchers.base.threads import count_cores, map_on_cores
from vpr.reranking.false_alarms import chance_of_inlier, log10_false_alarms
from vpr.reranking.verified_pairs import (
    WHOLE,
    VerifiedPairs,
    concatenate_pairs,
    load_part,
    save_part,
)
from vpr.retrieval.predictions import Predictions
from vpr.runtime.ordered_map import ordered_map

QUERIES_A_PART = 32  # saved together: what a kill costs at most


class Pair(NamedTuple):
    """What verification finds of a query and one database image.

    Args:
        places: Where the inliers are, as in `VerifiedPairs.places`, at any size of the images,
            shape (num_inliers, 2, 2).
        num_matches: Matches before geometry.
        log10_nfa: See `vpr.reranking.false_alarms`.
    """

    places: NDArray[np.uint16]
    num_matches: int
    log10_nfa: float


class Task(NamedTuple):
    """A query, and the database images that it is verified against.

    Args:
        query: Points of the query.
        candidates: Database indices, shape (num_candidates,).
        points: Points of the candidates.
    """

    query: LocalPoints
    candidates: NDArray[np.int64]
    points: list[LocalPoints]


def verify_candidates(
    matcher: Matcher,
    predictions: Predictions,
    database: Keypoints,
    query: Keypoints,
    *,
    top: int,
    rules: Rules,
    saved: Path,
) -> VerifiedPairs:
    """Find the inliers between each query and its first candidates.

    `top` candidates of each query are verified; of a shorter ranking, all. `saved` is the folder of
    the parts that were found by an interrupted run and by this one.

    Raises:
        ValueError: If the keypoints are of a different number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    saved.mkdir(parents=True, exist_ok=True)
    parts = [load_part(file) for file in sorted(saved.glob("*.npz"))]
    done = sum(len(part.candidates) for part in parts)
    candidates = predictions.indices[done:, :top]
    tasks = (
        Task(query.of(done + number), images, [database.of(image) for image in images.tolist()])
        for number, images in enumerate(candidates)
    )
    pairs = ordered_map(
        make_verifier, (matcher, rules), tasks, pack=_packed, threads=1, uses_gpu=uses_gpu(matcher)
    )
    start = time.monotonic()
    for batch in _batched(track(pairs, total=len(candidates), title="verified queries")):
        part = concatenate_pairs(batch)
        save_part(saved / f"{len(parts):06d}.npz", part)
        parts.append(part)
    rate = candidates.size / (time.monotonic() - start)  # of those that were left
    print(f"re-ranking: {rate:.0f} pairs per second", file=sys.stderr)
    return concatenate_pairs(parts)


def make_verifier(
    matcher: Matcher, rules: Rules
) -> Callable[[Iterable[Task]], Iterator[VerifiedPairs]]:
    """Make a function that verifies query after query."""

    def verify(task: Task) -> VerifiedPairs:
        verify_one = partial(verify_pair, matcher, rules, in_memory(task.query))
        return gather_pairs(task.candidates, map(verify_one, task.points))

    return partial(map_on_cores, verify, at_once=count_cores())


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


def gather_pairs(candidates: NDArray[np.int64], pairs: Iterable[Pair]) -> VerifiedPairs:
    """Gather what `verify_pair` found for one query and each of its candidates."""
    kept = list(pairs)
    return VerifiedPairs(
        candidates[None],
        matches=np.array([[pair.num_matches for pair in kept]], dtype=np.int64),
        inliers=np.array([[len(pair.places) for pair in kept]], dtype=np.int64),
        log10_nfa=np.array([[pair.log10_nfa for pair in kept]]).round(6),
        places=np.concatenate([pair.places for pair in kept]),
    )


def _batched(pairs: Iterable[VerifiedPairs]) -> Iterator[list[VerifiedPairs]]:
    upcoming = iter(pairs)
    while batch := list(islice(upcoming, QUERIES_A_PART)):
        yield batch


def _packed(task: Task) -> Task:
    return Task(in_memory(task.query), task.candidates, list(map(in_memory, task.points)))


def _check_sizes(predictions: Predictions, database: Keypoints, query: Keypoints) -> None:
    expected = (len(predictions.indices), predictions.num_database)
    found = (len(query.sizes), len(database.sizes))
    if expected != found:
        raise ValueError(
            f"number of queries and database images: predictions have {expected}, keypoints {found}"
        )
