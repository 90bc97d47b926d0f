"""What the doctor says about a data set, from its ground truth to the disk that it will fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vpr.commands.doctor.machine import check_disk
from vpr.datasets.checks import check_places
from vpr.datasets.findings import Finding, Level
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.image_checks import check_images
from vpr.datasets.params import DatasetParams, PrepareParams
from vpr.datasets.protocol_checks import follow_protocol
from vpr.features.params import TrunkParams
from vpr.images.inspection import Inspection
from vpr.images.pixels import ScaleTo
from vpr.places.gathering import ImageFacts, survey_images
from vpr.places.photos import find_photo
from vpr.places.radius import find_training_positives, keep_same_way
from vpr.runtime.parameters import load_params
from vpr.training.params import FinetuneParams

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


def check_set(*, quick: bool) -> Iterator[Finding]:
    """Check the data set of params.yaml, from its ground truth to the disk that it will fill.

    Args:
        quick: Open no image.

    Yields:
        One finding after the other; a single one if the ground truth cannot be read.
    """
    chosen, near = load_params("dataset", DatasetParams), load_params("prepare", PrepareParams)
    folder, turn = Path(chosen.dir), near.max_heading_deg
    try:
        truth, radius_m, _ = follow_protocol(
            parse_set(folder, chosen.index), chosen.protocol,
            asked_m=near.radius_m, crs=chosen.crs, max_heading_deg=turn,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        yield Finding("ground truth", str(error), Level.REFUSED)
        return
    places = check_places(truth, radius_m=radius_m, crs=chosen.crs, max_heading_deg=turn)
    if quick:
        yield from places
        return
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    rules = f"; protocol {chosen.protocol}" if chosen.protocol else ""
    yield Finding("ground truth", f"{counts}, within {radius_m:g} m ({truth.form}){rules}")
    yield from places
    trunk, tuned = load_params("trunk", TrunkParams), load_params("finetune", FinetuneParams)
    if all(found.level < Level.REFUSED for found in places):  # else all pairs may be positives
        yield check_training_positives(truth, radius_m, tuned.epochs, turn)
    facts = [
        *survey_images(folder, truth.database.paths, side="database"),
        *survey_images(folder, truth.query.paths, side="query"),
    ]
    yield from check_images(facts)
    for check in (check_missing, check_decoding, check_small, check_conversions, check_sizes):
        yield check(facts)
    yield check_large(facts, trunk.scale_to)
    yield check_disk((find_photo(folder, fact.name) for fact, _ in _seen(facts)), trunk, tuned)


def check_training_positives(
    truth: GroundTruth, radius_m: float, epochs: int, max_heading_deg: float | None = None
) -> Finding:
    """Report database images with no other within the radius: no triplet starts from them."""
    near = find_training_positives(truth.database.coordinates, radius_m=radius_m)
    headings = truth.database.heading
    found = keep_same_way(near, headings, headings, max_deg=max_heading_deg)
    lonely = int(np.count_nonzero(np.diff(found.indptr) == 0))
    key, total = "database_images_without_positives", len(truth.database.paths)
    words = f"{lonely} of {total} within {radius_m:g} m"
    if not lonely or epochs == 0:
        return Finding(key, words)
    if lonely < total:
        return Finding(key, f"{words}: they cannot be anchors in training", Level.NOTE)
    words += (
        ": finetune can form no triplet; set finetune.epochs to 0, or prepare.radius_m to more "
        "than the distance between neighbouring images"
    )
    return Finding(key, words, Level.REFUSED)


def check_missing(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not in the data set's folder."""
    return _refuse("missing_images", [fact for fact in facts if fact.is_missing], facts)


def check_decoding(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that do not decode to the end."""
    damaged = [fact for fact in facts if fact.problem is not None and not fact.is_missing]
    return _refuse("damaged_images", damaged, facts, ": replace them or remove them from the set")


def check_small(facts: Sequence[ImageFacts]) -> Finding:
    """Report images too small for the network."""
    small = [fact for fact, seen in _seen(facts) if min(seen.size_px) < SMALLEST_PX]
    return _refuse("small_images", small, facts, f": below {SMALLEST_PX} pixels: remove them")


def check_sizes(facts: Sequence[ImageFacts]) -> Finding:
    """Report image sizes."""
    counts = Counter(seen.size_px for _, seen in _seen(facts))
    words = ", ".join(f"{w}x{h} ({n} images)" for (w, h), n in counts.most_common(4))
    if len(counts) > 4:
        words += f" and {len(counts) - 4} more"
    if len(counts) > 1:
        words += ": nothing to do; only images of equal size share a batch"
    return Finding("image_sizes", words or "no image to measure")


def check_large(facts: Sequence[ImageFacts], scale_to: ScaleTo) -> Finding:
    """Report images so large that they are decoded only where they are scaled down."""
    large = [fact for fact, seen in _seen(facts) if seen.is_large]
    if scale_to is None or not large:
        return _refuse("large_images", large, facts, ": set trunk.max_side_px")
    size = " x ".join(map(str, scale_to)) if isinstance(scale_to, tuple) else scale_to
    return Finding("large_images", f"{_listed(large, facts)}: scaled down to {size} pixels")


def check_conversions(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not plain upright RGB, and how they are converted."""
    modes = [seen.mode for _, seen in _seen(facts) if seen.mode != "RGB"]
    counts = Counter(TREATMENT.get(mode, f"{mode}: converted to RGB") for mode in modes)
    turned = sum(seen.is_turned for _, seen in _seen(facts))
    words = [f"{number} {treatment}" for treatment, number in counts.most_common()]
    words += [f"{turned} rotated by EXIF: read upright"] if turned else []
    return Finding("pixel_formats", "; ".join(words) or "all upright RGB")


def _refuse(
    key: str, some: Sequence[ImageFacts], facts: Sequence[ImageFacts], advice: str = ""
) -> Finding:
    """Make a finding that refuses the set if it has such images."""
    if not some:
        return Finding(key, f"none of {len(facts)}")
    return Finding(key, _listed(some, facts) + advice, Level.REFUSED)


def _seen(facts: Sequence[ImageFacts]) -> list[tuple[ImageFacts, Inspection]]:
    return [(fact, fact.seen) for fact in facts if fact.seen is not None]


def _listed(some: Sequence[ImageFacts], facts: Sequence[ImageFacts]) -> str:
    named = [f"{fact.label}: {fact.problem}" if fact.problem else fact.label for fact in some]
    more = f" and {len(some) - NUM_NAMED} more" if len(some) > NUM_NAMED else ""
    return f"{len(some)} of {len(facts)}: {', '.join(named[:NUM_NAMED])}{more}"
