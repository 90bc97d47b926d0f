"""Which images were taken near each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

from vpr.places.distances import is_within, rounding_of


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
    search = NearestNeighbors(algorithm="kd_tree").fit(database - origin)
    far, near = search.radius_neighbors(query - origin, radius=radius_m + edge)
    distances, images = np.concatenate(far), np.concatenate(near).astype(np.int64)
    rows = np.repeat(np.arange(len(query)), [len(row) for row in near])
    kept = distances < radius_m - edge
    unsure = np.flatnonzero(~kept)
    kept[unsure] = is_within(query[rows[unsure]], database[images[unsure]], radius_m=radius_m)
    shape = (len(query), len(database))
    found = _by_row(rows[kept], images[kept], distances[kept], shape=shape)
    found.sort_indices()
    return found


def find_training_positives(database: NDArray[np.float64], *, radius_m: float) -> csr_array:
    """Database images within a radius of each database image but itself.

    Args:
        database: Easting and northing in metres, shape (num_database, 2).
        radius_m: The radius in metres.

    Returns:
        As `find_positives` gives, without the diagonal; another image at the same place stays.
    """
    found = find_positives(database, database, radius_m=radius_m)
    rows = np.repeat(np.arange(len(database)), np.diff(found.indptr))
    others = found.indices != rows
    return _by_row(rows[others], found.indices[others], found.data[others], shape=found.shape)


def _by_row(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    shape: tuple[int, int],
) -> csr_array:
    """Make a sparse matrix of entries in the order of its rows; zeros stay stored."""
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return csr_array((values, columns, indptr), shape=shape)
