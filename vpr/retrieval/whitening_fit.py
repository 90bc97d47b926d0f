"""PCA-whitening fitted on the database only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from vpr.retrieval.whitening import Whitening

MAX_ROWS = 10_000  # descriptors to fit on; Patch-NetVLAD takes as many


def fit_whitening(descriptors: NDArray[np.float32], *, dim: int) -> Whitening:
    """Fit directions of largest variance, each scaled to variance 1.

    W = diag(variances)^-1/2 U', b = -W mean (Jégou and Chum, ECCV 2012), as the references do. A
    large database is represented by 10,000 evenly spaced rows.

    Args:
        descriptors: Unit rows of the database, shape (num_images, descriptor_dim).
        dim: Directions to keep.

    Returns:
        The map to `dim` dimensions.

    Raises:
        ValueError: If the database does not span so many directions.
    """
    rows = np.unique(np.linspace(0, len(descriptors) - 1, MAX_ROWS).round().astype(np.int64))
    sample = descriptors[rows]
    most = min(len(sample) - 1, sample.shape[1])
    if dim > most:
        raise ValueError(
            f"whiten.dim = {dim}: {len(sample)} database descriptors of {sample.shape[1]} "
            f"dimensions span at most {most} directions"
        )
    tall = len(sample) > sample.shape[1]
    with threadpool_limits(1):  # the order of sums, and so the bits
        fitted = PCA(dim, svd_solver="covariance_eigh" if tall else "full").fit(sample)
    spread = np.sqrt(fitted.explained_variance_)
    if not spread[-1] > 1e-6 * spread[0]:
        raise ValueError(
            f"whiten.dim = {dim}: the database's descriptors have no spread in so many directions "
            "(are images repeated?): set it smaller"
        )
    weight = (fitted.components_ / spread[:, None]).astype(np.float32)
    return Whitening(weight, -weight @ fitted.mean_.astype(np.float32))
