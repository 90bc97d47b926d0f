"""What the doctor says about where a data set's images were taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vpr.commands.doctor.finding import Finding
from vpr.datasets import coordinate_checks
from vpr.datasets.checks import check_set
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth, choose_radius
from vpr.datasets.set_finding import Level, SetFinding
from vpr.places.radius import find_positives, find_training_positives


def check_counts(truth: GroundTruth, radius_m: float) -> Finding:
    """Report the number of images of both sides, and the form of their list."""
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    return Finding("ground truth", f"{counts}, within {radius_m:g} m ({truth.form})", ok=True)


def check_places(truth: GroundTruth, radius_m: float, crs: str | None) -> Iterator[Finding]:
    """Run what prepare checks before it opens an image: coordinates, positives, the listing."""
    yield from map(_as_finding, check_set(truth, radius_m=radius_m, crs=crs))


def read_truth(
    folder: Path, index: str | None, asked_radius_m: float | None
) -> tuple[GroundTruth, float] | Finding:
    """Read the ground truth and the radius, or say why that cannot be.

    Args:
        folder: The data set's folder.
        index: Its ground truth, as `find_index` takes it.
        asked_radius_m: `prepare.radius_m`.
    """
    try:
        truth = parse_set(folder, index)
        return truth, choose_radius(truth, asked_radius_m)
    except (ValueError, OSError) as error:
        return Finding("ground truth", str(error), ok=False)


def check_quickly(
    folder: Path, index: str | None, *, crs: str | None, asked_radius_m: float | None
) -> Iterator[Finding]:
    """Run the same checks on a folder, as far as they matter before a run.

    Args:
        folder: The data set's folder.
        index: Its ground truth, as `find_index` takes it.
        crs: `dataset.crs`.
        asked_radius_m: `prepare.radius_m`.
    """
    read = read_truth(folder, index, asked_radius_m)
    if isinstance(read, Finding):
        yield read
        return
    truth, radius_m = read
    yield from check_places(truth, radius_m, crs)


def check_coordinates(truth: GroundTruth, crs: str | None) -> Finding:
    """Check whether coordinates can be metres, of the reference system if one is named."""
    return _as_finding(coordinate_checks.check_coordinates(truth, crs))


def check_query_positives(
    truth: GroundTruth, radius_m: float, other_radii_m: Sequence[float]
) -> Finding:
    """Report queries without a positive, within the run's radius and within others."""
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
        words += ": they count as failures; evaluate also reports recall without them"
    return Finding("queries without positives", words, ok=True, is_note=bool(empty[radius_m]))


def check_training_positives(truth: GroundTruth, radius_m: float, epochs: int) -> Finding:
    """Report database images with no other within the radius: no triplet starts from them."""
    found = find_training_positives(truth.database.coordinates, radius_m=radius_m)
    lonely = int(np.count_nonzero(np.diff(found.indptr) == 0))
    subject, total = "database images without positives", len(truth.database.paths)
    words = f"{lonely} of {total} within {radius_m:g} m"
    if lonely == total and epochs > 0:
        words += (
            ": finetune can form no triplet; set finetune.epochs to 0, or prepare.radius_m to more "
            "than the distance between neighbouring images"
        )
        return Finding(subject, words, ok=False)
    if lonely and epochs > 0:
        words += ": they cannot be anchors in training"
    return Finding(subject, words, ok=True, is_note=bool(lonely) and epochs > 0)


def _as_finding(found: SetFinding) -> Finding:
    return Finding(
        found.subject, found.words, ok=found.level < Level.REFUSED,
        is_note=found.level > Level.FINE, is_loud=found.level is Level.LOUD,
    )  # fmt: skip
