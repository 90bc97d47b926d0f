"""Places as sequences: lines through the matrix of queries and database (SeqSLAM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.descriptors import exact_distances

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK_QUERIES = 256  # queries whose rows of the matrix are in memory together
LEAST_DEVIATION = 1e-6  # of similarities, so that equal ones do not stand out
FEWEST_COMPARED = 11  # images of a recording: one and the paper's ten neighbours


def enhance_contrast(
    similarity: Floats, recordings: Sequence[Ints], *, reach: int | None
) -> Floats:
    """Compare each similarity with a query's others, in their standard deviations.

    A query that is similar to everything says little: what counts is to stand out. Milford and
    Wyeth (ICRA 2012, equation 1) compare with ten neighbouring images. That suits a database of few
    photos; where neighbours show the same place, it removes the very peak that is looked for (see
    docs/sequence.md).

    One of n values is at most sqrt(n - 1) standard deviations from their mean, a single one always
    0. So a recording shorter than a whole window, or than the paper's eleven images if that is
    less, is compared with the whole database instead.

    Args:
        similarity: Similarity of queries to the database, shape (num_queries, num_database).
        recordings: Images of each recording of the database, in order.
        reach: Images before and after one, within its recording, that it is compared with; None: it
            is compared with the whole database.

    Returns:
        The same shape.
    """
    order = np.concatenate(recordings)
    ordered = similarity[:, order]
    places = np.arange(len(order))
    first, after = np.zeros_like(places), np.full_like(places, len(places))
    stop = 0
    for images in recordings:
        start, stop = stop, stop + len(images)
        if reach is not None and len(images) >= min(2 * reach + 1, FEWEST_COMPARED):
            first[start:stop] = np.maximum(places[start:stop] - reach, start)
            after[start:stop] = np.minimum(places[start:stop] + reach + 1, stop)

    def mean_within(values: Floats) -> Floats:
        sums = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))
        means: Floats = (sums[:, after] - sums[:, first]) / (after - first)
        return means

    means = mean_within(ordered)
    deviations = np.sqrt(np.maximum(mean_within(ordered**2) - means**2, 0))
    enhanced = np.empty_like(ordered)
    enhanced[:, order] = (ordered - means) / (deviations + LEAST_DEVIATION)
    return enhanced


def score_lines(similarity: Floats, *, length: int, velocities: Sequence[float]) -> Floats:
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
        velocities: Database images passed from one query to the next; below 0 backwards. They
            count as written in decimals, and half an image is rounded up.

    Returns:
        The same shape.
    """
    best, farthest = np.full(similarity.shape, -np.inf), len(similarity) - 1
    first, last = max(-(length // 2), -farthest), min(length - length // 2 - 1, farthest)
    for velocity in velocities:
        exact = Fraction(str(velocity))  # in binary 2.3 * 25 is less than 57.5
        total, count = np.zeros(similarity.shape), np.zeros(similarity.shape)
        for offset in range(first, last + 1):
            shift = math.floor(exact * offset + Fraction(1, 2))
            here = _with_neighbour(similarity.shape, offset, shift)
            total[here] += similarity[_with_neighbour(similarity.shape, -offset, -shift)]
            count[here] += 1
        best = np.maximum(best, total / count)
    return best


def _with_neighbour(shape: tuple[int, ...], *offsets: int) -> tuple[slice, ...]:
    """Find the points of a matrix whose neighbour at an offset is inside."""
    return tuple(
        slice(max(-offset, 0), max(size - max(offset, 0), 0))
        for size, offset in zip(shape, offsets, strict=True)
    )


def rank_lines(
    matrix: Callable[[Ints], Floats],
    query: Sequence[Ints],
    database: Sequence[Ints],
    *,
    length: int,
    velocities: Sequence[float],
    top_k: int,
    above: float = -math.inf,
) -> Ints:
    """Rank the database for each query by its best line, none of which leaves its recordings.

    Args:
        matrix: Returns the rows of some queries, shape (rows, num_database).
        query: Queries of each recording, in order; together they are all.
        database: Images of each recording of the database, in order; together they are all.
        length: Queries on a line.
        velocities: Database images passed from one query to the next.
        top_k: Images to keep for each query, at most all.
        above: Score that a line must exceed for its image to be a candidate.

    Returns:
        Database indices, best first, shape (num_queries, top_k); equal scores by lower index; -1
        where there are no more candidates.
    """
    num_queries, num_database = (sum(map(len, side)) for side in (query, database))
    ranked = np.empty((num_queries, min(top_k, num_database)), dtype=np.int64)
    for queries in query:
        for start in range(0, len(queries), BLOCK_QUERIES):
            stop = min(start + BLOCK_QUERIES, len(queries))
            first = max(start - length, 0)  # lines reach beyond the block
            block = matrix(queries[first : stop + length])
            scores = np.empty((stop - start, num_database))
            for images in database:
                lines = score_lines(block[:, images], length=length, velocities=velocities)
                scores[:, images] = lines[start - first : stop - first]
            order = np.argsort(-scores, axis=1, kind="stable")[:, : ranked.shape[1]]
            is_candidate = np.take_along_axis(scores, order, axis=1) > above
            ranked[queries[start:stop]] = np.where(is_candidate, order, -1)
    return ranked


def matrix_of_rankings(indices: Ints, num_database: int) -> Floats:
    """Similarity implied by rankings: from 1 for the first down to 0 for images not ranked.

    Indices have shape (num_queries, depth), best first; -1 is not a candidate.

    Returns:
        Shape (num_queries, num_database); each rank counts 1 / depth less than the one before.
    """
    matrix = np.zeros((len(indices), num_database))
    rows, ranks = np.nonzero(indices >= 0)
    matrix[rows, indices[rows, ranks]] = 1 - ranks / indices.shape[1]
    return matrix


def rank_descriptors(
    database: Rows,
    query: Rows,
    query_recordings: Sequence[Ints],
    database_recordings: Sequence[Ints],
    *,
    length: int,
    velocities: Sequence[float],
    reach: int | None,
    top_k: int,
) -> Ints:
    """Rank the database for each query by lines through the matrix of dot products.

    Args:
        database: Unit rows, shape (num_database, dim).
        query: Unit rows in the order of the route, shape (num_queries, dim).
        query_recordings: Queries of each recording; a line stays within one.
        database_recordings: Database images of each recording; a line stays within one.
        length: Queries on a line.
        velocities: Database images passed from one query to the next.
        reach: Images on each side that a similarity is compared with; None: all.
        top_k: Images to keep for each query.

    Returns:
        Database indices, best first, shape (num_queries, top_k).
    """

    def matrix(rows: Ints) -> Floats:
        similarity = (query[rows] @ database.T).astype(np.float64)
        return enhance_contrast(similarity, database_recordings, reach=reach)

    return rank_lines(
        matrix, query_recordings, database_recordings,
        length=length, velocities=velocities, top_k=top_k,
    )  # fmt: skip


def rank_again(
    rankings: Ints,
    query_recordings: Sequence[Ints],
    database_recordings: Sequence[Ints],
    *,
    length: int,
    velocities: Sequence[float],
) -> Ints:
    """Re-rank the rankings of single images, by lines through them.

    Rankings are database indices, best first, shape (num_queries, depth), with -1 for no candidate;
    the other arguments are those of `rank_descriptors`.

    Returns:
        The same shape; -1 instead of images that no ranking on a line names.
    """
    matrix = matrix_of_rankings(rankings, sum(map(len, database_recordings)))
    return rank_lines(
        lambda rows: matrix[rows], query_recordings, database_recordings,
        length=length, velocities=velocities, top_k=rankings.shape[1], above=0,
    )  # fmt: skip


def find_distances(database: Rows, query: Rows, indices: Ints) -> Rows:
    """Euclidean distances of each query's descriptor to those of its predictions.

    Returns:
        Shape (num_queries, top_k), in [0, 2].
    """
    pairs = zip(indices, query, strict=True)
    return np.stack([exact_distances(database[images], row) for images, row in pairs])
