"""Intervals of recall, for independent queries and for queries along a route."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri


def wilson_interval(hits: NDArray[np.bool_], *, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a fraction, for queries that fail independently.

    Queries along a route do not: neighbours tend to fail together, so this interval is too narrow.

    Returns:
        Lower and upper bound (Wilson, JASA 1927). Written out, since importing scipy.stats takes as
        long as running a stage that uses it.
    """
    count, share = len(hits), float(hits.mean())
    z = float(ndtri((1 + confidence) / 2))
    centre = share + z**2 / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def exact_interval(hits: int, count: int, *, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a fraction (Biometrika 1934), for independent trials."""
    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, count - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, count - hits, 1 - tail)) if hits < count else 1.0
    return low, high


def block_bootstrap_interval(
    values: NDArray[np.bool_] | NDArray[np.float64],
    *,
    block_length: int,
    num_samples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """Percentile interval of a mean by the circular moving-block bootstrap along the route.

    Blocks of neighbouring queries are drawn with replacement, so that their dependence is kept
    (Künsch, Annals of Statistics 1989); the route is closed to a circle, so that its ends are drawn
    as often as its middle (Politis & Romano, 1992).

    There is one value per query, in the order of the route; for `block_length` see
    `usable_block_length`.

    Returns:
        Lower and upper bound.
    """
    count = len(values)
    length = usable_block_length(block_length, count)
    closed = np.concatenate([values, values[: length - 1]]).astype(np.float64)
    sums = np.convolve(closed, np.ones(length), mode="valid")  # (count,): sum of each block
    num_blocks, rest = divmod(count, length)
    rng = np.random.default_rng(seed)
    totals = sums[rng.integers(count, size=(num_samples, num_blocks))].sum(axis=1)
    if rest:
        short = np.convolve(closed[: count + rest - 1], np.ones(rest), mode="valid")
        totals += short[rng.integers(count, size=num_samples)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(totals / count, [tail, 1 - tail])
    return float(low), float(high)


def block_bootstrap_samples(
    count: int, *, block_length: int, num_samples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Draw samples of queries as `block_bootstrap_interval` does, for what is not a mean.

    Yields:
        Indices of queries, shape (count,).
    """
    length = usable_block_length(block_length, count)
    rng = np.random.default_rng(seed)
    for _ in range(num_samples):
        starts = rng.integers(count, size=-(-count // length))
        yield ((starts[:, None] + np.arange(length)) % count).ravel()[:count]


def usable_block_length(block_length: int, num_queries: int) -> int:
    """Limit the length of bootstrap blocks to a third of the route.

    Blocks as long as the route would all have the same mean, and the interval would have no width.
    """
    return min(block_length, max(num_queries // 3, 1))
