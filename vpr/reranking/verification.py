"""The first candidates of each query, verified by geometry."""

from __future__ import annotations

import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.console.progress import track
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, uses_gpu
from vpr.matchers.base.photos import in_memory
from vpr.matchers.base.threads import count_cores, map_on_cores
from vpr.reranking.pairs import Pair, Task, draw_pairs, gather_pairs, verify_pair
from vpr.reranking.reranking import Stop
from vpr.reranking.verified_pairs import (
    NOT_VERIFIED,
    VerifiedPairs,
    concatenate_pairs,
    load_part,
    save_part,
)
from vpr.retrieval.predictions import Predictions
from vpr.runtime.ordered_map import map_ahead, ordered_map
from vpr.runtime.store import Store, content_key

QUERIES_A_PART = 32  # saved together: what a kill costs at most
LOOK_UP_THREADS = 4  # reading and hashing release the interpreter
HEAD = struct.Struct("<qd")  # of a pair in the store: num_matches, log10_nfa


class Work(NamedTuple):
    """A task, and its pairs that are known already.

    Args:
        known: What the store has of each candidate, None where it has nothing; of the first
            candidates only, if these settle the query's first predictions.
    """

    task: Task
    known: Sequence[Pair | None]

    @property
    def is_left(self) -> bool:
        """Return whether a pair is to be verified."""
        return None in self.known


@dataclass(frozen=True)
class KnownPairs:
    """Pairs that were verified before, here or in another run.

    Args:
        store: Store of the repository.
        key: Hash of everything that a pair depends on, except the two images' points.
    """

    store: Store
    key: str

    def find(self, query: LocalPoints, database: LocalPoints) -> Pair | None:
        """Find a pair; None if the store does not have it."""
        value = self.store.find(self._key_of(query, database))
        if value is None:
            return None
        head, places = value[: HEAD.size], value[HEAD.size :]
        return Pair(np.frombuffer(places, np.uint16).reshape(-1, 2, 2), *HEAD.unpack(head))

    def keep(self, query: LocalPoints, database: LocalPoints, pair: Pair) -> None:
        """Keep a pair for other runs."""
        key = self._key_of(query, database)
        self.store.keep(key, HEAD.pack(*pair[1:]) + pair.places.tobytes())

    def _key_of(self, query: LocalPoints, database: LocalPoints) -> str:
        return content_key(*(text.encode() for text in (self.key, query.key, database.key)))


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
    verify = partial(
        ordered_map, make_verifier, (matcher, rules, stop), pack=_packed, threads=1,
        uses_gpu=uses_gpu(matcher),
    )  # fmt: skip
    pairs = verify_unknown(verify, tasks, stop=stop, known=known)
    start, total = time.monotonic(), len(predictions.indices) - done
    num_verified = num_found = 0
    for batch in _batched(track(pairs, total=total, title="verified queries")):
        part = concatenate_pairs([verified for verified, _ in batch])
        save_part(saved / f"{len(parts):06d}.npz", part)
        parts.append(part)
        num_verified += part.num_verified
        num_found += sum(num_known for _, num_known in batch)
    seconds = time.monotonic() - start
    found = f", {num_found} of them found in the store" if known else ""
    print(
        f"re-ranking: {num_verified} pairs of {total} queries{found}: "
        f"{num_verified / seconds:.0f} per second",
        file=sys.stderr,
    )
    return concatenate_pairs(parts)


def hash_points(
    predictions: Predictions, database: Keypoints, query: Keypoints, *, top: int
) -> str:
    """Hash the points that `verify_candidates` reads: of a large map, those of candidates only.

    Raises:
        ValueError: If the keypoints are of a different number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    candidates = np.unique(predictions.indices[:, :top]).tolist()
    points = chain(map(database.of, candidates), map(query.of, range(len(query.sizes))))
    return content_key(*(image.key.encode() for image in points))


def verify_unknown(
    verify: Callable[[Iterable[Work]], Iterator[VerifiedPairs]],
    tasks: Iterable[Task],
    *,
    stop: Stop,
    known: KnownPairs | None,
) -> Iterator[tuple[VerifiedPairs, int]]:
    """Verify the pairs that the store does not have, and keep them there.

    Queries whose pairs are all known are skipped; if none is left, `verify` is not called.

    Args:
        verify: Makes the pairs of each work, in order.
        tasks: The queries.
        stop: When a query's first predictions are settled.
        known: The store's pairs; None: all are verified, and none is kept.

    Yields:
        The pairs of each query, in order, and how many of them were known.
    """
    looked_up: deque[Work] = deque()

    def left() -> Iterator[Work]:
        look_up = partial(_look_up, stop=stop, known=known)
        for work in map_ahead(look_up, tasks, threads=LOOK_UP_THREADS, ahead=2 * LOOK_UP_THREADS):
            looked_up.append(work)
            if work.is_left:
                yield work

    works = left()
    first = next(works, None)
    for pairs in () if first is None else verify(chain([first], works)):
        while not looked_up[0].is_left:
            yield _all_known(looked_up.popleft(), stop)
        work = looked_up.popleft()
        if known is not None:
            _keep_new(work, pairs, known)
        is_used = pairs.matches[0, : len(work.known)] != NOT_VERIFIED
        yield pairs, sum(is_used[rank] and pair is not None for rank, pair in enumerate(work.known))
    for work in looked_up:
        yield _all_known(work, stop)


def make_verifier(
    matcher: Matcher, rules: Rules, stop: Stop
) -> Callable[[Iterable[Work]], Iterator[VerifiedPairs]]:
    """Make a function that verifies query after query."""

    def verify(work: Work) -> VerifiedPairs:
        query = in_memory(work.task.query)
        pairs = (
            verify_pair(matcher, rules, query, in_memory(image)) if pair is None else pair
            for image, pair in zip(work.task.points, work.known, strict=True)
        )
        return gather_pairs(work.task, pairs, stop=stop)

    return partial(map_on_cores, verify, at_once=count_cores(), ahead=2 * count_cores())


def _look_up(task: Task, *, stop: Stop, known: KnownPairs | None) -> Work:
    if known is None:
        return Work(task, [None] * len(task.points))
    found: list[Pair | None] = []

    def known_first() -> Iterator[Pair]:
        for image in task.points:
            pair = known.find(task.query, image)
            found.append(pair)
            if pair is None:
                return
            yield pair

    draw_pairs(task, known_first(), stop)
    if None in found:
        found += [known.find(task.query, image) for image in task.points[len(found) :]]
    return Work(task, found)


def _all_known(work: Work, stop: Stop) -> tuple[VerifiedPairs, int]:
    known = [pair for pair in work.known if pair is not None]
    return gather_pairs(work.task, known, stop=stop), len(known)


def _keep_new(work: Work, pairs: VerifiedPairs, known: KnownPairs) -> None:
    ends = np.cumsum(pairs.inliers[0])[:-1]
    columns = pairs.matches[0].tolist(), pairs.log10_nfa[0].tolist()
    for image, before, places, num_matches, log10_nfa in zip(
        work.task.points, work.known, np.split(pairs.places, ends), *columns, strict=True
    ):
        if before is None and num_matches != NOT_VERIFIED:
            known.keep(work.task.query, image, Pair(places, num_matches, log10_nfa))


def _batched(
    pairs: Iterable[tuple[VerifiedPairs, int]],
) -> Iterator[list[tuple[VerifiedPairs, int]]]:
    upcoming = iter(pairs)
    while batch := list(islice(upcoming, QUERIES_A_PART)):
        yield batch


def _packed(work: Work) -> Work:
    """Make work self-contained, without the content of images whose pair is known."""
    points = [
        in_memory(image) if pair is None else _emptied(image)
        for image, pair in zip(work.task.points, work.known, strict=True)
    ]
    return work._replace(task=work.task._replace(query=in_memory(work.task.query), points=points))


def _emptied(image: LocalPoints) -> LocalPoints:
    """Leave only what `most_matches` counts."""
    read = None if image.read is None else _no_pixels
    return replace(image, descriptors=image.descriptors[:0], read=read)


def _no_pixels() -> NDArray[np.uint8]:
    return np.empty((0, 0, 3), np.uint8)


def _check_sizes(predictions: Predictions, database: Keypoints, query: Keypoints) -> None:
    expected = (len(predictions.indices), predictions.num_database)
    found = (len(query.sizes), len(database.sizes))
    if expected != found:
        raise ValueError(
            f"number of queries and database images: predictions have {expected}, keypoints {found}"
        )
