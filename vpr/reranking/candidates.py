"""The first candidates of each query, verified by geometry."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vpr.console.progress import track
from vpr.matchers.base.keypoints import Keypoints
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules, uses_gpu
from vpr.reranking.verified_pairs import (
    WHOLE,
    VerifiedPairs,
    concatenate_pairs,
    load_part,
    save_part,
)
from vpr.retrieval.predictions import Predictions
from vpr.runtime.ordered_map import map_ahead, ordered_map

QUERIES_A_PART = 32  # saved together: what a kill costs at most


class Asked(NamedTuple):
    """A query, and the database images that it is verified against.

    Args:
        query: Its points.
        candidates: Database indices, shape (num_candidates,).
        points: Those of the candidates.
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

    Args:
        matcher: Verifies a pair.
        predictions: The retrieval.
        database: Keypoints of the database.
        query: Keypoints of the queries.
        top: Candidates of each query; of a shorter ranking all.
        rules: What a match is.
        saved: Folder of what an interrupted run found, and this one finds.

    Raises:
        ValueError: If the keypoints are of another number of images than the predictions.
    """
    _check_sizes(predictions, database, query)
    saved.mkdir(parents=True, exist_ok=True)
    parts = [load_part(file) for file in sorted(saved.glob("*.npz"))]
    done = sum(len(part.candidates) for part in parts)
    candidates = predictions.indices[done:, :top]
    asked = (
        ask(query.of(done + number), images, database) for number, images in enumerate(candidates)
    )
    found = ordered_map(
        make_verifier, (matcher, rules), asked, threads=1, uses_gpu=uses_gpu(matcher)
    )
    start = time.monotonic()
    for some in _batched(track(found, total=len(candidates), title="verified queries")):
        part = concatenate_pairs(some)
        save_part(saved / f"{len(parts):06d}.npz", part)
        parts.append(part)
    rate = candidates.size / (time.monotonic() - start)  # of those that were left
    print(f"re-ranking: {rate:.0f} pairs per second", file=sys.stderr)
    return concatenate_pairs(parts)


def ask(query: LocalPoints, candidates: NDArray[np.int64], database: Keypoints) -> Asked:
    """Collect what a query is verified against.

    Args:
        query: Its points.
        candidates: Database indices, shape (num_candidates,).
        database: Keypoints of the database.
    """
    return Asked(query, candidates, [database.of(image) for image in candidates.tolist()])


def make_verifier(
    matcher: Matcher, rules: Rules
) -> Callable[[Iterable[Asked]], Iterator[VerifiedPairs]]:
    """Make what verifies query after query."""

    def verify(asked: Asked) -> VerifiedPairs:
        return verify_query(matcher, asked, rules)

    def verify_all(queries: Iterable[Asked]) -> Iterator[VerifiedPairs]:
        # Queries on all cores, each sum on one thread: its order, and so the bits, stay the same.
        cores = os.cpu_count() or 1
        with threadpool_limits(1), _one_thread_of_torch():
            yield from map_ahead(verify, queries, threads=cores, ahead=2 * cores)

    return verify_all


@contextmanager
def _one_thread_of_torch() -> Iterator[None]:
    """Let torch compute on one thread, in whichever thread it is asked; if a matcher uses it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def verify_query(matcher: Matcher, asked: Asked, rules: Rules) -> VerifiedPairs:
    """Find the inliers between one query and its candidates."""
    places = [
        _places(asked.query, points, matcher.verify(asked.query, points, rules))
        for points in asked.points
    ]
    inliers = np.array([[len(one) for one in places]], dtype=np.int64)
    return VerifiedPairs(asked.candidates[None], inliers, np.concatenate(places))


def _places(
    query: LocalPoints, database: LocalPoints, pairs: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """Convert matched points to places that hold at any size of the images.

    Args:
        query: Points of the query.
        database: Points of the database image.
        pairs: Rows of both, shape (num_matches, 2).

    Returns:
        As `VerifiedPairs` has them, shape (num_matches, 2, 2).
    """
    shares = [
        one.points[rows] / np.array(one.size[::-1], np.float64)
        for one, rows in zip((query, database), pairs.T, strict=True)
    ]
    places: NDArray[np.uint16] = np.rint(np.stack(shares, axis=1).clip(0, 1) * WHOLE).astype(
        np.uint16
    )
    return places


def _batched(found: Iterable[VerifiedPairs]) -> Iterator[list[VerifiedPairs]]:
    upcoming = iter(found)
    while some := list(islice(upcoming, QUERIES_A_PART)):
        yield some


def _check_sizes(predictions: Predictions, database: Keypoints, query: Keypoints) -> None:
    expected = (len(predictions.indices), predictions.num_database)
    found = (len(query.sizes), len(database.sizes))
    if expected != found:
        raise ValueError(
            f"number of queries and database images: predictions have {expected}, keypoints {found}"
        )
