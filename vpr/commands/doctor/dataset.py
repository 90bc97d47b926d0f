"""What the doctor says about a data set, from its ground truth to the disk that it will fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vpr.commands.doctor.finding import Finding
from vpr.commands.doctor.image_facts import survey_images, usable
from vpr.commands.doctor.images import (
    check_conversions,
    check_darkness,
    check_decoding,
    check_duplicates,
    check_large,
    check_missing,
    check_sizes,
)
from vpr.commands.doctor.places import (
    check_counts,
    check_places,
    check_query_positives,
    check_training_positives,
    read_truth,
)
from vpr.images.image_files import Photo
from vpr.images.pixels import ScaleTo
from vpr.places.gathering import find_photo

OF_PICTURES = (
    check_missing, check_decoding, check_duplicates, check_sizes, check_conversions, check_darkness,
)  # fmt: skip


def check_set(
    folder: Path,
    index: str | None,
    *,
    crs: str | None,
    asked_radius_m: float | None,
    other_radii_m: Sequence[float],
    epochs: int,
    scale_to: ScaleTo,
    check_disk: Callable[[Iterable[Photo]], Finding],
) -> Iterator[Finding]:
    """Read a data set, open each image, and say what is found.

    Args:
        folder: The data set's folder.
        index: Its ground truth, as `find_index` takes it.
        crs: `dataset.crs`.
        asked_radius_m: `prepare.radius_m`.
        other_radii_m: Radii at which queries without positives are counted too.
        epochs: `finetune.epochs`; without training, database images need no positives.
        scale_to: Size that the trunk scales images to.
        check_disk: Whether the disk suffices for a run over these files.

    Yields:
        One finding after the other; a single one if the ground truth cannot be read.
    """
    read = read_truth(folder, index, asked_radius_m)
    if isinstance(read, Finding):
        yield read
        return
    truth, radius_m = read
    yield check_counts(truth, radius_m)
    places = list(check_places(truth, radius_m, crs))
    yield from places
    if all(found.ok for found in places):  # positives of what are no metres may be all pairs
        yield check_query_positives(truth, radius_m, other_radii_m)
        yield check_training_positives(truth, radius_m, epochs)
    facts = survey_images(folder, truth)
    yield from (check(facts) for check in OF_PICTURES)
    yield check_large(facts, scale_to)
    yield check_disk(find_photo(folder, one.name) for one in usable(facts))
