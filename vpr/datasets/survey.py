"""What a data set looks like, in a few lines."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from vpr.datasets.ground_truth import GroundTruth
from vpr.places.crs import parse_metric_crs


def describe_set(
    truth: GroundTruth, positives: csr_array, *, radius_m: float, crs: str | None
) -> str:
    """Form, counts, extent and positives of a data set.

    Args:
        truth: Both sides of the set.
        positives: Query x database; stored entries are the positives.
        radius_m: The radius that they were found with, in metres.
        crs: Reference system of the coordinates, or None.

    Returns:
        Lines of text.

    Raises:
        ValueError: If the reference system is none of metres.
    """
    places = np.concatenate([truth.database.coordinates, truth.query.coordinates])
    east, north = np.ptp(places, axis=0)
    line = "" if north else " (a line: frame numbers, or metres along it)"
    system = f" ({parse_metric_crs(crs).name})" if crs else line
    counts = np.diff(positives.indptr)
    return (
        f"form: {truth.form}\n"
        f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images over "
        f"{east:.0f} m x {north:.0f} m{system}\n"
        f"positives per query within {radius_m:g} m: {counts.min()} to {counts.max()}, "
        f"mean {counts.mean():.2f}; queries without any: {np.count_nonzero(counts == 0)}"
    )
