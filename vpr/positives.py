"""The file of positives: which database images show the place of a query."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

PARTS = ("indptr", "indices", "data", "shape")


def save_positives(path: Path, positives: csr_array) -> None:
    """Write positives with their distances.

    Args:
        path: The file to write.
        positives: Shape (num_queries, num_database). A stored entry is a positive and its value
            the distance in metres, also where that is 0: use indptr and indices, since `nonzero`
            and arithmetic lose the zeros.
    """
    with path.open("wb") as file:
        np.savez(
            file,
            indptr=positives.indptr.astype(np.int64),
            indices=positives.indices.astype(np.int64),
            data=positives.data.astype(np.float64),
            shape=np.array(positives.shape, dtype=np.int64),
            format=np.array(b"csr"),  # scipy.sparse.load_npz reads the file too
        )


def load_positives(path: Path) -> csr_array:
    """Read what `save_positives` wrote.

    Raises:
        ValueError: If the file is damaged or is not a sparse matrix of distances.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            indptr, indices, data, shape = (file[part] for part in PARTS)
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a file of positives: {error}") from None
    rows, columns = (int(size) for size in shape)
    fits = (
        len(indptr) == rows + 1
        and indptr[0] == 0
        and indptr[-1] == len(indices) == len(data)
        and bool((np.diff(indptr) >= 0).all())
        and bool(((indices >= 0) & (indices < columns)).all())
    )
    if not fits:
        raise ValueError(f"{path}: the parts of the sparse matrix do not fit each other")
    if not bool((np.isfinite(data) & (data >= 0)).all()):
        raise ValueError(f"{path}: expected distances of 0 m or more")
    return csr_array((data, indices, indptr), shape=(rows, columns))
