"""The first candidates of each query, verified by geometry."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
from vpr.reranking.reranking import Stop, chance_of_inlier, log10_false_alarms
from vpr.reranking.verified_pairs import (
    NOT_VERIFIED,
    WHOLE,
    VerifiedPairs,
    concatenate_pairs,
    load_part,
    save_part,
)
from vpr.retrieval.predictions import Predictions
from vpr.runtime.ordered_map import ordered_map
from vpr.runtime.store import Store, content_key

QUERIES_A_PART = 32  # saved together: what a kill costs at most
HEAD = struct.Struct("<qd")  # of a pair in the store: num_matches, log10_nfa


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


@dataclass(frozen=True)
class KnownPairs:
    """Pairs that were verified before, here or in another run.

    Args:
        store: Store of the repository.
        key: Hash of what else than the two images' points a pair depends on.
    """

    store: Store
    key: str

    def look_up(
        self, verify: Callable[[LocalPoints, LocalPoints], Pair], query: LocalPoints,
        database: LocalPoints,
    ) -> Pair:  # fmt: skip
        """Find a pair in the store, or verify and keep it."""
        key = content_key(*(text.encode() for text in (self.key, query.key, database.key)))
        value = self.store.find(key)
        if value is not None:
            head, places = value[: HEAD.size], value[HEAD.size :]
            return Pair(np.frombuffer(places, np.uint16).reshape(-1, 2, 2), *HEAD.unpack(head))
        pair = verify(query, database)
        self.store.keep(key, HEAD.pack(*pair[1:]) + pair.places.tobytes())
        return pair


def verify_candidates(
    matcher: Matcher,
    predictions: Predictions,
    database: Keypoints,
    query: Keypoints,
    *,
    top: int,
    rules: Rules,
    stop: Stop,
    known: KnownPairs | None,
    saved: Path,
) -> VerifiedPairs:
    """Find the inliers between each query and its first candidates.

    `top` candidates of each query are verified, or fewer by the rule `stop`; of a shorter ranking,
    all. `saved` is the folder of the parts that were found by an interrupted run and by this one.

    Raises:
        ValueError: If the keypoints are of a different number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    saved.mkdir(parents=True, exist_ok=True)
    parts = [load_part(file) for file in sorted(saved.glob("*.npz"))]
    done = sum(len(part.candidates) for part in parts)
    ranked = zip(predictions.indices[done:, :top], predictions.distances[done:, :top], strict=True)
    tasks = (
        Task(query.of(number), images, far, [database.of(image) for image in images.tolist()])
        for number, (images, far) in enumerate(ranked, start=done)
    )
    pairs = ordered_map(
        make_verifier, (matcher, rules, stop, known), tasks, pack=_packed, threads=1,
        uses_gpu=uses_gpu(matcher),
    )  # fmt: skip
    start, total = time.monotonic(), len(predictions.indices) - done
    num_verified = 0
    for batch in _batched(track(pairs, total=total, title="verified queries")):
        part = concatenate_pairs(batch)
        save_part(saved / f"{len(parts):06d}.npz", part)
        parts.append(part)
        num_verified += part.num_verified
    seconds = time.monotonic() - start
    found = f", {known.store.num_found} of them found in the store" if known else ""
    print(
        f"re-ranking: {num_verified} pairs of {total} queries{found}: "
        f"{num_verified / seconds:.0f} per second",
        file=sys.stderr,
    )
    return concatenate_pairs(parts)


def make_verifier(
    matcher: Matcher, rules: Rules, stop: Stop, known: KnownPairs | None
) -> Callable[[Iterable[Task]], Iterator[VerifiedPairs]]:
    """Make a function that verifies query after query."""
    verify_one = partial(verify_pair, matcher, rules)
    if known is not None:
        verify_one = partial(known.look_up, verify_one)

    def verify(task: Task) -> VerifiedPairs:
        query, points = in_memory(task.query), map(in_memory, task.points)
        return gather_pairs(task, map(partial(verify_one, query), points), stop=stop)

    return partial(map_on_cores, verify, at_once=count_cores(), ahead=2 * count_cores())


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
    most = np.array([min(task.query.most_matches, im.most_matches) for im in task.points])
    matches = np.full((1, len(most)), NOT_VERIFIED)
    inliers, log10_nfa = np.zeros_like(matches), np.zeros(matches.shape)
    places = []
    for rank, pair in enumerate(pairs):
        matches[0, rank], inliers[0, rank] = pair.num_matches, len(pair.places)
        log10_nfa[0, rank] = round(pair.log10_nfa, 6)
        places.append(pair.places)
        if stop.settles(task.distances, inliers[0, : rank + 1], most):
            break
    return VerifiedPairs(task.candidates[None], matches, inliers, log10_nfa, np.concatenate(places))


def _batched(pairs: Iterable[VerifiedPairs]) -> Iterator[list[VerifiedPairs]]:
    upcoming = iter(pairs)
    while batch := list(islice(upcoming, QUERIES_A_PART)):
        yield batch


def _packed(task: Task) -> Task:
    points = list(map(in_memory, task.points))
    return task._replace(query=in_memory(task.query), points=points)


def _check_sizes(predictions: Predictions, database: Keypoints, query: Keypoints) -> None:
    expected = (len(predictions.indices), predictions.num_database)
    found = (len(query.sizes), len(database.sizes))
    if expected != found:
        raise ValueError(
            f"number of queries and database images: predictions have {expected}, keypoints {found}"
        )
