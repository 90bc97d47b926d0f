"""Whether a ground truth can be what it says: asked alike by prepare, the doctor and score."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpr.datasets.coordinate_checks import check_coordinates, describe_degrees, like_degrees
from vpr.datasets.findings import Finding, Level
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.order_checks import check_order
from vpr.places.crs import parse_metric_crs
from vpr.places.photos import plain_name
from vpr.places.radius import find_positives


def check_places(truth: GroundTruth, *, radius_m: float, crs: str | None) -> list[Finding]:
    """Look at a set's coordinates, positives, listing and order; no image is opened.

    Of coordinates that are refused no positives are looked for: of degrees taken for metres they
    are all pairs, which may be more than memory holds.

    Args:
        truth: Both sides of the set.
        radius_m: Metres within which a database image is a positive.
        crs: `dataset.crs`, or None.
    """
    if not truth.has_labels:
        unknown = " and the ".join(side for side, places in truth.sides() if np.isnan(places).any())
        words = f"those of the {unknown} images are unknown, so recall is left out"
        return [Finding("positions", words, Level.LOUD), check_listing(truth)]
    coordinates = check_coordinates(truth, crs)
    others = [check_listing(truth), check_order(truth, radius_m=radius_m)]
    if coordinates.level is Level.REFUSED:
        return [coordinates, *others]
    return [coordinates, check_positives(truth, radius_m=radius_m), *others]


def check_positives(truth: GroundTruth, *, radius_m: float) -> Finding:
    """Check that positives tell a right answer from a wrong one."""
    key, num_database = "positives", len(truth.database.paths)
    counts = _count_positives(truth, radius_m)
    without = int(np.count_nonzero(counts == 0))
    numbers = {"queries": len(counts), "queries_without_positives": without}
    if not counts.any():
        words = (
            f"no query has a positive within {radius_m:g} m, so recall would be 0 for any model: "
            "are both sides in one reference system and in metres, and is the radius in metres?"
        )
        return Finding(key, words, Level.REFUSED, numbers)
    words = f"{counts.min()} to {counts.max()} per query within {radius_m:g} m"
    if without:
        words += (
            f"; {without} of {len(counts)} queries have none and count as failures: evaluate also "
            "reports recall without them"
        )
        return Finding(key, words, Level.NOTE, numbers)
    if counts.min() < num_database:
        return Finding(key, words, Level.FINE, numbers)
    words = (
        f"every database image is a positive of every query within {radius_m:g} m, so recall is 1 "
        "for any model: are coordinates in metres, and is the radius right?"
    )
    degrees = [
        describe_degrees(side, places) for side, places in truth.sides() if like_degrees(places)
    ]
    if degrees:
        return Finding(key, f"{words} {degrees[0]}", Level.REFUSED, numbers)
    return Finding(key, words, Level.LOUD, numbers)


def check_listing(truth: GroundTruth) -> Finding:
    """Check that no image is listed twice, and report what else was found next to the images."""
    words = list(truth.notes)
    names = {
        side: Counter(map(plain_name, index.paths))
        for side, index in (("database", truth.database), ("query", truth.query))
    }
    repeated = {
        side: [name for name, count in counts.items() if count > 1]
        for side, counts in names.items()
    }
    for side, twice in repeated.items():
        if twice:
            words.append(
                f"{len(twice)} names occur more than once on the {side} side ({twice[0]!r})"
            )
    both = sorted(names["database"].keys() & names["query"].keys())
    if both:
        words.append(f"{len(both)} names are on both sides ({both[0]!r}), which inflates recall")
    return Finding(
        "listing", "; ".join(words) or "each image once, none left out",
        Level.LOUD if both else Level.NOTE if words else Level.FINE,
        {"names_on_both_sides": len(both), "repeated_names": sum(map(len, repeated.values()))},
    )  # fmt: skip


def describe_set(
    truth: GroundTruth, positives: csr_array, *, radius_m: float, crs: str | None
) -> str:
    """Form, counts, extent and positives of a data set, in a few lines.

    Args:
        truth: Both sides of the set.
        positives: Query x database; stored entries are the positives.
        radius_m: The radius that they were found with, in metres.
        crs: Reference system of the coordinates, or None.

    Raises:
        ValueError: If the reference system is none of metres.
    """
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    if not truth.has_labels:
        return f"form: {truth.form}\n{counts}; without positions of both sides there is no recall"
    places = np.concatenate([truth.database.coordinates, truth.query.coordinates])
    east, north = np.ptp(places, axis=0)
    line = "" if north else " (a line: frame numbers, or metres along it)"
    system = f" ({parse_metric_crs(crs).name})" if crs else line
    found = np.diff(positives.indptr)
    return (
        f"form: {truth.form}\n"
        f"{counts} over {east:.0f} m x {north:.0f} m{system}\n"
        f"positives per query within {radius_m:g} m: {found.min()} to {found.max()}, "
        f"mean {found.mean():.2f}; queries without any: {np.count_nonzero(found == 0)}"
    )


def _count_positives(truth: GroundTruth, radius_m: float) -> NDArray[np.int64]:
    """Count positives of each query, without a search where the radius spans the whole set."""
    database, query = truth.database.coordinates, truth.query.coordinates
    if np.hypot(*np.ptp(np.concatenate([database, query]), axis=0)) <= radius_m:
        return np.full(len(query), len(database))
    return np.diff(find_positives(database, query, radius_m=radius_m).indptr)
