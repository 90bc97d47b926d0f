"""The files of positives: which database images show the place of a query, within which radius."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.runtime.npz import load_arrays, save_arrays

PARTS = ("indptr", "indices", "data", "shape")


def positives_of(positives: csr_array, row: int) -> NDArray[np.integer]:
    """Database indices of the positives of one query, ascending; those at 0 m are among them."""
    return np.asarray(positives.indices[positives.indptr[row] : positives.indptr[row + 1]])


def save_positives(path: Path, positives: csr_array) -> None:
    """Write positives with their distances.

    Args:
        path: The file to write.
        positives: Shape (num_queries, num_database). A stored entry is a positive and its value
            the distance in metres, also where that is 0: use indptr and indices, since `nonzero`
            and arithmetic lose the zeros.
    """
    arrays = {
        "indptr": positives.indptr.astype(np.int64),
        "indices": positives.indices.astype(np.int64),
        "data": positives.data.astype(np.float64),
        "shape": np.array(positives.shape, dtype=np.int64),
        "format": np.array(b"csr"),  # scipy.sparse.load_npz reads the file too
    }
    save_arrays(path, arrays)


def load_positives(path: Path) -> csr_array:
    """Read what `save_positives` wrote.

    Raises:
        ValueError: If the file is damaged or is not a sparse matrix of distances.
    """
    indptr, indices, data, shape = load_arrays(path, PARTS, what="a file of positives")
    kinds = [part.dtype.kind for part in (indptr, indices, data, shape)]
    if kinds != ["i", "i", "f", "i"] or shape.shape != (2,):
        raise ValueError(f"{path}: expected a sparse matrix of distances")
    try:
        positives = csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
        positives.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{path}: not a sparse matrix of distances: {error}") from None
    if not bool((np.isfinite(data) & (data >= 0)).all()):
        raise ValueError(f"{path}: expected distances of 0 m or more")
    return positives


def save_radius(path: Path, radius_m: float) -> None:
    """Write `{"radius_m": 25.0}`, in metres, or frames where coordinates count those."""
    path.write_text(json.dumps({"radius_m": float(radius_m)}) + "\n")


def load_radius(path: Path) -> float:
    """Read what `save_radius` wrote.

    Raises:
        ValueError: If the file holds no positive radius.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from None
    radius_m = content.get("radius_m") if isinstance(content, dict) else None
    if not isinstance(radius_m, float) or not radius_m > 0:
        raise ValueError(f'{path}: expected {{"radius_m": metres above 0}}, found {content!r}')
    return radius_m
