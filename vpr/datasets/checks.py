"""Whether a ground truth can be what it says: asked alike by prepare, the doctor and score."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.spatial import cKDTree

from vpr.datasets.coordinate_checks import check_coordinates, describe_degrees
from vpr.datasets.findings import Finding, Level
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.order_checks import check_density, check_fixes, check_order
from vpr.places.photos import plain_name
from vpr.places.radius import SAME_WAY_DEG, count_positives

FEWEST_HEADINGS = 8  # fewer may all lie in a small range


def check_places(
    truth: GroundTruth, *, radius_m: float, crs: str | None, max_heading_deg: float | None = None
) -> list[Finding]:
    """Look at a set's coordinates, positives, listing and order; no image is opened.

    Of coordinates that are refused no positives are looked for: of degrees taken for metres they
    are all pairs, which may be more than memory holds.

    Args:
        truth: Both sides of the set.
        radius_m: Metres within which a database image is a positive.
        crs: `dataset.crs`, or None.
        max_heading_deg: `prepare.max_heading_deg`, or None.
    """
    if not truth.has_labels:
        unknown = " and the ".join(side for side, index in truth.sides() if not index.has_places)
        words = f"those of the {unknown} images are unknown, so recall is left out"
        return [Finding("positions", words, Level.LOUD), check_listing(truth)]
    coordinates = check_coordinates(truth, crs)
    others = [
        check_headings(truth, max_heading_deg), check_listing(truth),
        check_order(truth, radius_m=radius_m), check_fixes(truth),
        check_density(truth.database, radius_m),
    ]  # fmt: skip
    if coordinates.level is Level.REFUSED:
        return [coordinates, *others]
    return [coordinates, check_positives(truth, radius_m, max_heading_deg), *others]


def check_headings(truth: GroundTruth, max_deg: float | None) -> Finding:
    """Check that headings are degrees, and known where positives depend on them."""
    known = {
        side: np.empty(0) if index.heading is None else index.heading[~np.isnan(index.heading)]
        for side, index in truth.sides()
    }
    numbers = {side: len(headings) for side, headings in known.items()}
    totals = {side: len(index.paths) for side, index in truth.sides()}
    counts = " and ".join(f"{numbers[side]} of {totals[side]} {side} images" for side in totals)
    words = [f"known of {counts}"]
    if max_deg is not None and not all(numbers.values()):
        refusal = (
            f"prepare.max_heading_deg = {max_deg:g}, but headings are {words[0]}: set it to null"
        )
        return Finding("headings", refusal, Level.REFUSED, numbers)
    words += [
        f"those of the {side} side are within 0 to 2 pi: radians? The column heading has degrees"
        for side, headings in known.items()
        if len(headings) >= FEWEST_HEADINGS and headings.max() <= 2 * np.pi and np.ptp(headings) > 1
    ]
    if max_deg is not None and numbers != totals:
        words.append("of the others position alone tells what is a positive")
    level = Level.NOTE if len(words) > 1 else Level.FINE
    return Finding("headings", "; ".join(words), level, numbers)


def check_positives(
    truth: GroundTruth, radius_m: float, max_heading_deg: float | None = None
) -> Finding:
    """Check that positives tell a right answer from a wrong one."""
    key, num_database = "positives", len(truth.database.paths)
    counts = count_positives(truth.database, truth.query, radius_m, max_heading_deg)
    without = int(np.count_nonzero(counts == 0))
    numbers = {"queries": len(counts), "queries_without_positives": without}
    if not counts.any():
        words = (
            f"no query has a positive within {radius_m:g} m, so recall would be 0 for any model: "
            "are both sides in one reference system and in metres, and is the radius in metres?"
        )
        return Finding(key, words, Level.REFUSED, numbers)
    words = f"{counts.min()} to {counts.max()} per query within {radius_m:g} m"
    if truth.query.heading is not None and truth.database.heading is not None:
        alike = count_positives(truth.database, truth.query, radius_m, SAME_WAY_DEG)
        words += (
            f" ({np.count_nonzero(alike)} of {len(alike)} queries have one that looks their way)"
        )
    if without:
        lost, _ = cKDTree(truth.database.coordinates).query(truth.query.coordinates[counts == 0])
        lost = np.asarray(lost)
        words += (
            f"; {without} of {len(counts)} queries have none and count as failures, so recall is "
            f"at most {1 - without / len(counts):.4g}: evaluate also reports recall without them. "
            f"Their nearest database image is {lost.min():.0f} to {lost.max():.0f} m away"
        )
        return Finding(key, words, Level.NOTE, numbers)
    if counts.min() < num_database:
        return Finding(key, words, Level.FINE, numbers)
    words = (
        f"every database image is a positive of every query within {radius_m:g} m, so recall is 1 "
        "for any model: are coordinates in metres, and is the radius right?"
    )
    degrees = describe_degrees(truth)
    if degrees is not None:
        return Finding(key, f"{words} {degrees}", Level.REFUSED, numbers)
    return Finding(key, words, Level.LOUD, numbers)


def check_listing(truth: GroundTruth) -> Finding:
    """Check that no image is listed twice, and report what else was found next to the images."""
    words = list(truth.notes)
    names = {side: Counter(map(plain_name, index.paths)) for side, index in truth.sides()}
    num_repeated = 0
    for side, counts in names.items():
        repeated = [name for name, count in counts.items() if count > 1]
        num_repeated += len(repeated)
        if repeated:
            words.append(
                f"{len(repeated)} names occur more than once on the {side} side ({repeated[0]!r})"
            )
    both = sorted(names["database"].keys() & names["query"].keys())
    if both:
        words.append(f"{len(both)} names are on both sides ({both[0]!r}), which inflates recall")
    return Finding(
        "listing", "; ".join(words) or "each image once, none left out",
        Level.LOUD if both else Level.NOTE if words else Level.FINE,
        {"names_on_both_sides": len(both), "repeated_names": num_repeated},
    )  # fmt: skip
