"""What the doctor says about where a data set's images were taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.commands.doctor.finding import Finding
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.crs import check_crs
from vpr.places.radius import find_positives, find_training_positives

MAX_LONGITUDE, MAX_LATITUDE = 180.0, 90.0
LARGEST_SET_DEG = 5.0  # no set of street photos spans more


def check_counts(truth: GroundTruth, radius_m: float) -> Finding:
    """Images of both sides, and the form they are listed in."""
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    return Finding("ground truth", f"{counts}, within {radius_m:g} m ({truth.form})", ok=True)


def check_coordinates(truth: GroundTruth, crs: str | None) -> Finding:
    """Whether coordinates can be metres, of the reference system if one is named."""
    places = np.concatenate([truth.database.coordinates, truth.query.coordinates])
    if _look_like_degrees(places):
        words = (
            f"they look like degrees (the first is {places[0].tolist()}): convert them to metres "
            "of a projected system, as EPSG:32633, with pyproj"
        )
        return Finding("coordinates", words, ok=True, is_note=True)
    east, north = np.ptp(places, axis=0)
    words = f"finite, over {east:.0f} m x {north:.0f} m"
    if crs is None:
        return Finding("coordinates", f"{words}; dataset.crs = null, so no map", ok=True)
    try:
        return Finding("coordinates", f"{words}, {check_crs(crs, places)}", ok=True)
    except ValueError as error:
        return Finding("coordinates", str(error), ok=False)


def check_query_positives(
    truth: GroundTruth, radius_m: float, other_radii_m: Sequence[float]
) -> Finding:
    """Queries that have no positive, within the radius of the run and within others."""
    sides = truth.database.coordinates, truth.query.coordinates
    empty = {
        radius: int(np.count_nonzero(np.diff(find_positives(*sides, radius_m=radius).indptr) == 0))
        for radius in {radius_m, *other_radii_m}
    }
    total = len(truth.query.paths)
    others = ", ".join(
        f"{empty[radius]} within {radius:g} m"
        for radius in sorted(empty)
        if radius != radius_m and empty[radius]
    )
    words = f"{empty[radius_m]} of {total} within {radius_m:g} m" + (
        f"; {others}" if others else ""
    )
    if empty[radius_m] == total:
        words += ": recall would be 0: are both sides in one reference system and in metres?"
        return Finding("queries without positives", words, ok=False)
    if empty[radius_m]:
        words += ": they count as failures; evaluate reports recall without them too"
    return Finding("queries without positives", words, ok=True, is_note=bool(empty[radius_m]))


def check_training_positives(truth: GroundTruth, radius_m: float, epochs: int) -> Finding:
    """Database images without another one in the radius, which no triplet can start from."""
    found = find_training_positives(truth.database.coordinates, radius_m=radius_m)
    lonely = int(np.count_nonzero(np.diff(found.indptr) == 0))
    subject, total = "database images without positives", len(truth.database.paths)
    words = f"{lonely} of {total} within {radius_m:g} m"
    if lonely == total and epochs > 0:
        words += (
            ": finetune can form no triplet; set finetune.epochs to 0, or prepare.radius_m larger "
            "than the distance of neighbouring images"
        )
        return Finding(subject, words, ok=False)
    if lonely and epochs > 0:
        words += ": no anchors of training; the others are"
    return Finding(subject, words, ok=True, is_note=bool(lonely) and epochs > 0)


def _look_like_degrees(places: NDArray[np.float64]) -> bool:
    """Small numbers with fractions, in either order, that span no more than a few."""
    largest = np.abs(places).max(axis=0)
    small = sorted(largest)[0] <= MAX_LATITUDE and sorted(largest)[1] <= MAX_LONGITUDE
    fractions = bool((places != places.round(3)).any())
    return bool(small and fractions and np.ptp(places, axis=0).max() <= LARGEST_SET_DEG)
