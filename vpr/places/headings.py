"""Which way photos look: degrees clockwise from true north, NaN where unknown.

A compass counts from magnetic north, a map in UTM from grid north; both differ from true north, by
several degrees at the edge of a zone. `crs.grid_headings` converts to grid north; magnetic north
needs a model of the Earth's field for the day of the photo, so it is never taken for true north.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.places.index import FULL_CIRCLE_DEG

SAME_WAY_DEG = 45.0  # a quarter of the circle is one way: forward, backward or to a side

Degrees = NDArray[np.float64]


def turns_between(one: Degrees, other: Degrees) -> Degrees:
    """How far headings are apart, from 0 to 180 degrees; NaN where one is unknown."""
    apart = np.abs(one - other) % FULL_CIRCLE_DEG
    turns: Degrees = np.minimum(apart, FULL_CIRCLE_DEG - apart)
    return turns


def keep_same_way(
    positives: csr_array,
    query: Degrees | None,
    database: Degrees | None,
    *,
    max_deg: float | None,
    keep_unknown: bool = True,
) -> csr_array:
    """Drop positives that look elsewhere.

    Args:
        positives: Query x database; stored entries are the positives.
        query: Headings of the queries.
        database: Headings of the database images.
        max_deg: The largest angle between two photos that look the same way; None: all stay.
        keep_unknown: Whether the position alone counts where a heading is unknown.
    """
    if max_deg is None or query is None or database is None:
        return positives
    rows = np.repeat(np.arange(positives.shape[0]), np.diff(positives.indptr))
    turns = turns_between(query[rows], database[positives.indices])
    kept = ~(turns > max_deg) if keep_unknown else turns <= max_deg
    indptr = np.concatenate([[0], np.cumsum(kept)])[positives.indptr]
    entries = positives.data[kept], positives.indices[kept], indptr
    return csr_array(entries, shape=positives.shape)
