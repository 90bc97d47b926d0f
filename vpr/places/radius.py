"""Which images show the same place: near each other and, if asked, looking the same way.

Headings are degrees clockwise from true north, NaN where unknown. A compass counts from magnetic
north, a map in UTM from grid north; both differ from true north, by several degrees at the edge of
a zone. `crs.grid_headings` converts to grid north; magnetic north needs a model of the Earth's
field for the day of the photo, so it is never taken for true north.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.places.index import FULL_CIRCLE_DEG, ImageIndex

ROUNDING = 4  # units in the last place: two coordinates, their difference and its length
SAME_WAY_DEG = 45.0  # a quarter of the circle is one way: forward, backward or to a side

Degrees = NDArray[np.float64]


def find_positives(
    database: NDArray[np.float64], query: NDArray[np.float64], *, radius_m: float
) -> csr_array:
    """Database images within a radius of each query, by the rule of `is_within`.

    Args:
        database: Easting and northing in metres, shape (num_database, 2).
        query: The same of the queries, shape (num_queries, 2).
        radius_m: The radius in metres.

    Returns:
        Shape (num_queries, num_database); a stored entry is a positive, its value the distance
        in metres, also where that is 0; columns ascend in each row. Unknown positions (NaN) are
        near none.
    """
    if np.isnan(database).any() or np.isnan(query).any():
        return csr_array((len(query), len(database)), dtype=np.float64)
    # A common offset of UTM size would cost digits, and with them the edge of the radius.
    origin = database.mean(axis=0).round()
    largest = np.abs(np.concatenate([database, query])).max(axis=0)
    edge = 2 * rounding_of(largest, radius_m).max()
    # Imported here, since readers of `is_within` do without it. scikit-learn's NearestNeighbors
    # gives the same, but takes a second to import.
    from scipy.spatial import cKDTree

    pairs = cKDTree(query - origin).sparse_distance_matrix(
        cKDTree(database - origin), radius_m + edge, output_type="ndarray"
    )
    pairs = pairs[np.lexsort((pairs["j"], pairs["i"]))]
    rows, images, distances = pairs["i"], pairs["j"], pairs["v"]
    kept = distances < radius_m - edge
    unsure = np.flatnonzero(~kept)
    kept[unsure] = is_within(query[rows[unsure]], database[images[unsure]], radius_m=radius_m)
    starts = np.searchsorted(rows, np.arange(len(query) + 1))
    near = csr_array((distances, images, starts), shape=(len(query), len(database)))
    return _keep(near, kept)


def find_same_places(
    database: ImageIndex, query: ImageIndex, *, radius_m: float, max_heading_deg: float | None
) -> csr_array:
    """Database images that show a query's place: near it and, if asked, looking its way.

    Args:
        database: Index of the database.
        query: Index of the queries.
        radius_m: The radius in metres.
        max_heading_deg: `prepare.max_heading_deg`; None: position alone.

    Returns:
        As `find_positives`.
    """
    near = find_positives(database.coordinates, query.coordinates, radius_m=radius_m)
    return keep_same_way(near, query.heading, database.heading, max_deg=max_heading_deg)


def count_positives(
    database: ImageIndex, query: ImageIndex, radius_m: float, max_heading_deg: float | None
) -> NDArray[np.int64]:
    """Count positives of each query, without a search where the radius spans the whole set."""
    every = np.concatenate([database.coordinates, query.coordinates])
    if max_heading_deg is None and np.hypot(*np.ptp(every, axis=0)) <= radius_m:
        return np.full(len(query.paths), len(database.paths))
    found = find_same_places(database, query, radius_m=radius_m, max_heading_deg=max_heading_deg)
    return np.diff(found.indptr)


def find_training_positives(database: NDArray[np.float64], *, radius_m: float) -> csr_array:
    """Database images within a radius of each database image but itself.

    Args:
        database: Easting and northing in metres, shape (num_database, 2).
        radius_m: The radius in metres.

    Returns:
        As `find_positives` gives, without the diagonal; another image at the same place stays.
    """
    found = find_positives(database, database, radius_m=radius_m)
    return _keep(found, found.indices != _rows(found))


def _rows(positives: csr_array) -> NDArray[np.int64]:
    """Row of each stored entry."""
    return np.repeat(np.arange(positives.shape[0]), np.diff(positives.indptr))


def _keep(positives: csr_array, kept: NDArray[np.bool_]) -> csr_array:
    """Keep some of the stored entries; zeros stay stored."""
    indptr = np.concatenate([[0], np.cumsum(kept)])[positives.indptr]
    entries = positives.data[kept], positives.indices[kept], indptr
    return csr_array(entries, shape=positives.shape)


def metres_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances of places.

    Args:
        one: Easting and northing in metres, shape (..., 2).
        other: The same; the shapes broadcast.
    """
    distances: NDArray[np.float64] = np.linalg.norm(one - other, axis=-1)
    return distances


def is_within(
    one: NDArray[np.float64], other: NDArray[np.float64], *, radius_m: float
) -> NDArray[np.bool_]:
    """Return which places are within a radius of each other, the edge included.

    Coordinates and radius count as written in decimals: 19.3 - 19.0 is 0.3, though in binary it is
    a little more. So the edge is as wide as the rounding of these two places: four units in the
    last place of their largest coordinate and of the radius, 4e-9 m in UTM. No other place of the
    set changes the answer.

    Args:
        one: Easting and northing in metres, shape (..., 2).
        other: The same; the shapes broadcast.
        radius_m: The radius in metres.
    """
    largest = np.maximum(np.abs(one), np.abs(other)).max(axis=-1)
    edge = radius_m + rounding_of(largest, radius_m)
    within: NDArray[np.bool_] = metres_between(one, other) <= edge
    return within


def rounding_of(largest: NDArray[np.float64], radius_m: float) -> NDArray[np.float64]:
    """Bound what rounding adds to a distance, in metres.

    Args:
        largest: The largest coordinate, without its sign, of any shape.
        radius_m: Radius that the distance is compared with.
    """
    bound: NDArray[np.float64] = ROUNDING * (np.spacing(largest) + np.spacing(radius_m))
    return bound


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
    rows = _rows(positives)
    turns = turns_between(query[rows], database[positives.indices])
    kept = ~(turns > max_deg) if keep_unknown else turns <= max_deg
    return _keep(positives, kept)
