"""Which images were taken near each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors


def find_positives(
    database: NDArray[np.float64], query: NDArray[np.float64], *, radius_m: float
) -> csr_array:
    """Database images within a radius of each query, the edge included.

    Args:
        database: Easting and northing in metres, shape (num_database, 2).
        query: The same of the queries, shape (num_queries, 2).
        radius_m: The radius in metres.

    Returns:
        Shape (num_queries, num_database); a stored entry is a positive, its value the distance
        in metres, also where that is 0; columns ascend in each row.
    """
    # A common offset of UTM size would cost digits, and with them the edge of the radius.
    origin = database.mean(axis=0).round()
    search = NearestNeighbors(algorithm="kd_tree").fit(database - origin)
    distances, indices = search.radius_neighbors(query - origin, radius=radius_m)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in indices])])
    found = csr_array(
        (np.concatenate(distances), np.concatenate(indices).astype(np.int64), indptr),
        shape=(len(query), len(database)),
    )
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
    row_of = np.repeat(np.arange(len(database)), np.diff(found.indptr))
    others = found.indices != row_of
    counts = np.bincount(row_of[others], minlength=len(database))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((found.data[others], found.indices[others], indptr), shape=found.shape)
