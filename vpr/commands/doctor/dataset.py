"""What the doctor says about a data set, from its ground truth to the disk that it will fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vpr.commands.doctor.finding import Finding
from vpr.datasets import findings
from vpr.datasets.checks import check_places
from vpr.datasets.findings import Level
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.image_checks import check_images
from vpr.datasets.params import DatasetParams, PrepareParams
from vpr.datasets.protocol_checks import follow_protocol
from vpr.images.image_files import Photo
from vpr.images.inspection import Inspection
from vpr.images.pixels import ScaleTo
from vpr.places.gathering import ImageFacts, survey_images
from vpr.places.photos import find_photo
from vpr.places.radius import find_training_positives, keep_same_way

NUM_NAMED = 3  # images named in one line
TREATMENT = {
    "L": "greyscale: converted to RGB",
    "LA": "greyscale with transparency: converted to RGB, transparency dropped",
    "RGBA": "with transparency: it is dropped and the colour below shows",
    "CMYK": "CMYK: converted to RGB",
    "P": "with a palette: converted to RGB", "1": "black and white: converted to RGB",
    "I;16": "16-bit greyscale: scaled to 8 bits", "I;16B": "16-bit greyscale: scaled to 8 bits",
    "I": "32-bit greyscale: scaled to 8 bits by the range it fills",
    "F": "floating-point greyscale: scaled to 8 bits by the range it fills",
}  # fmt: skip
SMALLEST_PX = 16  # VGG16 up to conv5 halves four times


def check_quickly(chosen: DatasetParams, near: PrepareParams) -> Iterator[Finding]:
    """Run the checks that open no image.

    Args:
        chosen: The data set.
        near: Which database images are positives.
    """
    read = _read_truth(chosen, near)
    if isinstance(read, Finding):
        yield read
        return
    truth, radius_m = read
    yield from _check_places(truth, radius_m, chosen.crs, near.max_heading_deg)


def check_set(
    chosen: DatasetParams,
    *,
    near: PrepareParams,
    epochs: int,
    scale_to: ScaleTo,
    check_disk: Callable[[Iterable[Photo]], Finding],
) -> Iterator[Finding]:
    """Read a data set, open each image, and say what is found.

    Args:
        chosen: The data set.
        near: Which database images are positives.
        epochs: `finetune.epochs`; without training, database images need no positives.
        scale_to: Size that the trunk scales images to.
        check_disk: Whether the disk suffices for a run over these files.

    Yields:
        One finding after the other; a single one if the ground truth cannot be read.
    """
    read = _read_truth(chosen, near)
    if isinstance(read, Finding):
        yield read
        return
    truth, radius_m = read
    folder = Path(chosen.dir)
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    rules = f"; protocol {chosen.protocol}" if chosen.protocol else ""
    words = f"{counts}, within {radius_m:g} m ({truth.form}){rules}"
    yield Finding("ground truth", words, ok=True)
    places = list(_check_places(truth, radius_m, chosen.crs, near.max_heading_deg))
    yield from places
    if all(found.ok for found in places):  # positives of what are no metres may be all pairs
        yield check_training_positives(truth, radius_m, epochs, near.max_heading_deg)
    facts = [
        *survey_images(folder, truth.database.paths, side="database"),
        *survey_images(folder, truth.query.paths, side="query"),
    ]
    yield from map(_line, check_images(facts))
    yield from (check(facts) for check in (check_missing, check_decoding, check_conversions))
    yield check_sizes(facts)
    yield check_large(facts, scale_to)
    yield check_disk(find_photo(folder, fact.name) for fact, _ in _seen(facts))


def _check_places(
    truth: GroundTruth, radius_m: float, crs: str | None, max_heading_deg: float | None
) -> Iterator[Finding]:
    found = check_places(truth, radius_m=radius_m, crs=crs, max_heading_deg=max_heading_deg)
    yield from map(_line, found)


def check_training_positives(
    truth: GroundTruth, radius_m: float, epochs: int, max_heading_deg: float | None = None
) -> Finding:
    """Report database images with no other within the radius: no triplet starts from them."""
    near = find_training_positives(truth.database.coordinates, radius_m=radius_m)
    headings = truth.database.heading
    found = keep_same_way(near, headings, headings, max_deg=max_heading_deg)
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


def check_missing(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not in the data set's folder."""
    missing = [fact for fact in facts if fact.is_missing]
    if missing:
        return Finding("missing images", _listed(missing, len(facts)), ok=False)
    return Finding("missing images", f"none of {len(facts)}", ok=True)


def check_decoding(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that do not decode to the end."""
    damaged = [fact for fact in facts if fact.problem is not None and not fact.is_missing]
    if damaged:
        words = _listed(damaged, len(facts)) + ": replace them or remove them from the set"
        return Finding("damaged images", words, ok=False)
    return Finding("damaged images", "none", ok=True)


def check_sizes(facts: Sequence[ImageFacts]) -> Finding:
    """Report image sizes, and images too small for the network."""
    small = [fact for fact, seen in _seen(facts) if min(seen.size_px) < SMALLEST_PX]
    if small:
        words = f"{_listed(small, len(facts))}: smaller than {SMALLEST_PX} pixels: remove them"
        return Finding("image sizes", words, ok=False)
    counts = Counter(seen.size_px for _, seen in _seen(facts))
    words = ", ".join(f"{w}x{h} ({n} images)" for (w, h), n in counts.most_common(4))
    if len(counts) > 4:
        words += f" and {len(counts) - 4} more"
    if len(counts) > 1:
        words += ": nothing to do; only images of equal size share a batch"
    return Finding("image sizes", words or "no image to measure", ok=True)


def check_large(facts: Sequence[ImageFacts], scale_to: ScaleTo) -> Finding:
    """Report images so large that they are decoded only where they are scaled down."""
    large = [fact for fact, seen in _seen(facts) if seen.is_large]
    if not large:
        return Finding("large images", "none", ok=True)
    words = _listed(large, len(facts))
    if scale_to is None:
        return Finding("large images", f"{words}: set trunk.max_side_px", ok=False)
    size = " x ".join(map(str, scale_to)) if isinstance(scale_to, tuple) else scale_to
    return Finding("large images", f"{words}: scaled down to {size} pixels", ok=True)


def check_conversions(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not plain upright RGB, and how they are converted."""
    modes = [seen.mode for _, seen in _seen(facts) if seen.mode != "RGB"]
    counts = Counter(TREATMENT.get(mode, f"{mode}: converted to RGB") for mode in modes)
    turned = sum(seen.is_turned for _, seen in _seen(facts))
    words = [f"{number} {treatment}" for treatment, number in counts.most_common()]
    words += [f"{turned} rotated by EXIF: read upright"] if turned else []
    return Finding("pixel formats", "; ".join(words) or "all upright RGB", ok=True)


def _read_truth(chosen: DatasetParams, near: PrepareParams) -> tuple[GroundTruth, float] | Finding:
    """Read the ground truth and the radius, or say why that cannot be."""
    try:
        truth, radius_m, _ = follow_protocol(
            parse_set(Path(chosen.dir), chosen.index), chosen.protocol,
            asked_m=near.radius_m, crs=chosen.crs, max_heading_deg=near.max_heading_deg,
        )  # fmt: skip
        return truth, radius_m
    except (ValueError, OSError) as error:
        return Finding("ground truth", str(error), ok=False)


def _line(found: findings.Finding) -> Finding:
    return Finding(
        found.subject, found.words, ok=found.level < Level.REFUSED,
        is_note=found.level > Level.FINE, is_loud=found.level is Level.LOUD,
    )  # fmt: skip


def _seen(facts: Sequence[ImageFacts]) -> list[tuple[ImageFacts, Inspection]]:
    return [(fact, fact.seen) for fact in facts if fact.seen is not None]


def _listed(some: Sequence[ImageFacts], total: int) -> str:
    named = ", ".join(f"{fact.label}: {fact.problem}" if fact.problem else fact.label
                      for fact in some[:NUM_NAMED])  # fmt: skip
    more = f" and {len(some) - NUM_NAMED} more" if len(some) > NUM_NAMED else ""
    return f"{len(some)} of {total}: {named}{more}"
