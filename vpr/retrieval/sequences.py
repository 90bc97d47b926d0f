"""Places as sequences: lines through the matrix of queries and database (SeqSLAM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

BLOCK_QUERIES = 256  # whose rows of the matrix lie in memory together
LEAST_DEVIATION = 1e-6  # of similarities; where all around are the same, none stands out


def find_recordings(sequence: Sequence[str] | None, num_images: int) -> list[slice]:
    """Find runs of neighbouring images that are of one recording, by its name in the index.

    Args:
        sequence: For each image the name of its recording; None: all are of one.
        num_images: How many images there are.

    Raises:
        ValueError: If there are not as many names.
    """
    if sequence is not None and len(sequence) != num_images:
        raise ValueError(f"{num_images} images, but the index names {len(sequence)} recordings")
    runs, start = [], 0
    for _, images in groupby(sequence or [""] * num_images):
        stop = start + len(list(images))
        runs.append(slice(start, stop))
        start = stop
    return runs


def enhance_contrast(
    similarity: NDArray[np.float64], recordings: Sequence[slice], *, reach: int | None
) -> NDArray[np.float64]:
    """Compare each similarity with a query's others, in their standard deviations.

    A query that is similar to everything says little: what counts is to stand out. Milford and
    Wyeth (ICRA 2012, equation 1) compare with ten neighbouring images. That suits a database of
    few photos; where neighbours show the same place, it removes the very peak that is looked for
    (see docs/sequence.md).

    Args:
        similarity: Of queries to the database, shape (num_queries, num_database).
        recordings: Of the database, in order.
        reach: Images before and after one, within its recording, that it is compared with; None:
            it is compared with the whole database.

    Returns:
        The same shape.
    """
    places = np.arange(similarity.shape[1])
    first, after = np.zeros_like(places), np.full_like(places, len(places))
    if reach is not None:
        for run in recordings:
            first[run] = np.maximum(places[run] - reach, run.start)
            after[run] = np.minimum(places[run] + reach + 1, run.stop)
    means, squares = (
        (sums[:, after] - sums[:, first]) / (after - first)
        for values in (similarity, similarity**2)
        for sums in [np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))]
    )
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    enhanced: NDArray[np.float64] = (similarity - means) / (deviations + LEAST_DEVIATION)
    return enhanced


def score_lines(
    similarity: NDArray[np.float64], *, length: int, velocities: Sequence[float]
) -> NDArray[np.float64]:
    """Best mean along the straight lines through each query and database image.

    A line has one point for each of `length` queries around the one it is for, as many before as
    after it (one more before it, if the length is even), and moves by a velocity along the
    database (Milford and Wyeth, ICRA 2012, equations 2 to 4, there with the query at the line's
    end). Its mean is over the points that lie in the matrix: at the ends of a recording lines are
    shorter.

    Args:
        similarity: One recording's queries x one recording of the database, in the order in which
            they were taken, shape (num_queries, num_images).
        length: Queries on a line.
        velocities: Database images passed from one query to the next; below 0 backwards.

    Returns:
        The same shape.
    """
    best, farthest = np.full(similarity.shape, -np.inf), len(similarity) - 1
    first, last = max(-(length // 2), -farthest), min(length - length // 2 - 1, farthest)
    for velocity in velocities:
        total, count = np.zeros(similarity.shape), np.zeros(similarity.shape)
        for offset in range(first, last + 1):
            shift = math.floor(velocity * offset + 0.5)
            here, there = _overlap(similarity.shape, offset, shift)
            total[here] += similarity[there]
            count[here] += 1
        best = np.maximum(best, total / count)
    return best


def _overlap(shape: tuple[int, ...], *offsets: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Find the points whose neighbour at an offset is inside, and those neighbours."""
    sizes = [max(size - abs(offset), 0) for size, offset in zip(shape, offsets, strict=True)]
    pairs = list(zip(sizes, offsets, strict=True))
    here = tuple(slice(max(-offset, 0), max(-offset, 0) + size) for size, offset in pairs)
    return here, tuple(slice(max(offset, 0), max(offset, 0) + size) for size, offset in pairs)


def rank_lines(
    matrix: Callable[[slice], NDArray[np.float64]],
    query: Sequence[slice],
    database: Sequence[slice],
    *,
    length: int,
    velocities: Sequence[float],
    top_k: int,
) -> NDArray[np.int64]:
    """Rank the database for each query by its best line, none of which crosses a break.

    Args:
        matrix: Gives the rows of some neighbouring queries, shape (rows, num_database).
        query: Recordings of the queries, in order.
        database: Recordings of the database, in order.
        length: Queries on a line.
        velocities: Database images passed from one query to the next.
        top_k: How many to keep.

    Returns:
        Database indices, best first, shape (num_queries, top_k); equal scores by lower index.
    """
    ranked = []
    for run in query:
        for start in range(run.start, run.stop, BLOCK_QUERIES):
            stop = min(start + BLOCK_QUERIES, run.stop)
            first = max(start - length, run.start)  # lines reach beyond the block
            block = matrix(slice(first, min(stop + length, run.stop)))
            scores = np.concatenate(
                [score_lines(block[:, images], length=length, velocities=velocities)
                 for images in database], axis=1,
            )[start - first : stop - first]  # fmt: skip
            ranked.append(np.argsort(-scores, axis=1, kind="stable")[:, :top_k])
    return np.concatenate(ranked)


def matrix_of_rankings(indices: NDArray[np.int64], num_database: int) -> NDArray[np.float64]:
    """Similarity as far as rankings tell it: from 1 for the first down to 0 for those not named.

    Args:
        indices: Database indices, best first, shape (num_queries, depth); -1 is no candidate.
        num_database: Images in the database.

    Returns:
        Shape (num_queries, num_database); each rank counts 1 / depth less than the one before.
    """
    matrix = np.zeros((len(indices), num_database))
    rows, ranks = np.nonzero(indices >= 0)
    matrix[rows, indices[rows, ranks]] = 1 - ranks / indices.shape[1]
    return matrix
