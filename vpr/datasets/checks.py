"""Whether a data set can be what it says: checked alike by prepare, the doctor and score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.coordinate_checks import check_coordinates
from vpr.datasets.degrees import like_degrees, tell_degrees
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.set_finding import Level, SetFinding
from vpr.places.radius import find_positives


def check_set(truth: GroundTruth, *, radius_m: float, crs: str | None) -> list[SetFinding]:
    """Look at a set's coordinates, positives and listing; no image is opened.

    Of coordinates that are refused no positives are looked for: of degrees taken for metres they
    are all pairs, which may be more than memory holds.

    Args:
        truth: Both sides of the set.
        radius_m: Metres within which a database image is a positive.
        crs: `dataset.crs`, or None.
    """
    coordinates, listing = check_coordinates(truth, crs), check_listing(truth)
    if coordinates.level is Level.REFUSED:
        return [coordinates, listing]
    return [coordinates, check_positives(truth, radius_m=radius_m), listing]


def require_usable(findings: Sequence[SetFinding]) -> list[str]:
    """Refuse a set that cannot be right, and give what else must be said of it.

    Args:
        findings: As `check_set` gives them.

    Returns:
        A line for each note.

    Raises:
        ValueError: If a finding is refused; the message has them all.
    """
    refused = [found.words for found in findings if found.level is Level.REFUSED]
    if refused:
        raise ValueError("; ".join(refused))
    return [f"NOTE {one.subject}: {one.words}" for one in findings if one.level > Level.FINE]


def check_positives(truth: GroundTruth, *, radius_m: float) -> SetFinding:
    """Check that positives tell a right answer from a wrong one."""
    subject, num_database = "positives", len(truth.database.paths)
    counts = _count_positives(truth, radius_m)
    if not counts.any():
        words = (
            f"no query has a positive within {radius_m:g} m, so recall would be 0 for any model: "
            "are both sides in one reference system and in metres, and is the radius in metres?"
        )
        return SetFinding(subject, words, Level.REFUSED)
    if counts.min() < num_database:
        words = f"{counts.min()} to {counts.max()} per query within {radius_m:g} m"
        return SetFinding(subject, words, Level.FINE)
    words = (
        f"every database image is a positive of every query within {radius_m:g} m, so recall is 1 "
        "for any model: are coordinates in metres, and is the radius right?"
    )
    degrees = [tell_degrees(side, places) for side, places in truth.sides() if like_degrees(places)]
    if degrees:
        return SetFinding(subject, f"{words} {degrees[0]}", Level.REFUSED)
    return SetFinding(subject, words, Level.LOUD)


def check_listing(truth: GroundTruth) -> SetFinding:
    """Check that no image is listed twice, and say what lay beside the images."""
    words = list(truth.notes)
    sides = (("database", truth.database.paths), ("query", truth.query.paths))
    for side, names in sides:
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            words.append(
                f"{len(twice)} names occur more than once on the {side} side ({twice[0]!r})"
            )
    both = sorted(set(truth.database.paths) & set(truth.query.paths))
    if both:
        words.append(f"{len(both)} names are on both sides ({both[0]!r}), which inflates recall")
    level = Level.NOTE if words else Level.FINE
    return SetFinding("listing", "; ".join(words) or "each image once, none left out", level)


def _count_positives(truth: GroundTruth, radius_m: float) -> NDArray[np.int64]:
    """Count positives of each query, without a search where the radius spans the whole set."""
    database, query = truth.database.coordinates, truth.query.coordinates
    if np.hypot(*np.ptp(np.concatenate([database, query]), axis=0)) <= radius_m:
        return np.full(len(query), len(database))
    return np.diff(find_positives(database, query, radius_m=radius_m).indptr)
