"""Stage prepare: a data set's ground truth -> indices, positives, images, thumbnails."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.datasets.checks import check_places
from vpr.datasets.findings import Finding, Level, list_notes, require_usable, save_notes
from vpr.datasets.formats import parse_set
from vpr.datasets.image_checks import check_images
from vpr.datasets.params import DatasetParams, PrepareParams
from vpr.datasets.protocol_checks import follow_protocol
from vpr.datasets.protocols import PROTOCOLS
from vpr.images.image_files import list_images
from vpr.images.known_photos import known_photos
from vpr.images.params import ThumbnailsParams
from vpr.images.thumbnails import draw_thumbnails
from vpr.places.gathering import ImageFacts, gather_images
from vpr.places.index import save_index
from vpr.places.positives import save_positives, save_radius
from vpr.places.radius import find_same_places, find_training_positives, keep_same_way
from vpr.runtime.artefacts import built_aside
from vpr.runtime.environment import installed_version
from vpr.runtime.hashing import hash_work
from vpr.runtime.parameters import load_params


def prepare(
    *, database: Path, query: Path, positives: Path, training_positives: Path,
    database_images: Path, query_images: Path, radius: Path, notes: Path,
    database_thumbnails: Path, query_thumbnails: Path,
) -> None:  # fmt: skip
    """Read the ground truth, check it and every image, and find the positives.

    Every argument is written. Positives are query x database, training positives database x
    database; notes say what in the data set affects its numbers.
    """
    chosen = load_params("dataset", DatasetParams)
    near = load_params("prepare", PrepareParams)
    small = load_params("thumbnails", ThumbnailsParams)
    dataset, max_deg = Path(chosen.dir), near.max_heading_deg
    truth, radius_m, _ = follow_protocol(
        parse_set(dataset, chosen.index), chosen.protocol, asked_m=near.radius_m, crs=chosen.crs,
        max_heading_deg=max_deg,
    )  # fmt: skip
    findings = check_places(truth, radius_m=radius_m, crs=chosen.crs, max_heading_deg=max_deg)
    require_usable(findings)
    counts = f"{len(truth.database.paths)} database and {len(truth.query.paths)} query images"
    print(f"form: {truth.form}, {counts}")
    for found in findings:
        if found.level is Level.FINE and found.key in ("coordinates", "positives"):
            print(f"{found.key}: {found.words}")
    if chosen.protocol is not None:
        rules = f"{chosen.protocol}: {PROTOCOLS[chosen.protocol].describe()}"
        findings.insert(0, Finding("protocol", rules, Level.NOTE))
    pairs = find_same_places(
        truth.database, truth.query, radius_m=radius_m, max_heading_deg=max_deg
    )
    headings = truth.database.heading
    training_pairs = find_training_positives(truth.database.coordinates, radius_m=radius_m)
    training_pairs = keep_same_way(training_pairs, headings, headings, max_deg=max_deg)
    outs = (
        positives, training_positives, radius, notes,
        database, database_images, database_thumbnails, query, query_images, query_thumbnails,
    )  # fmt: skip
    code = partial(hash_work, installed_version("pillow"), installed_version("numpy"), inputs=())
    inspected = known_photos(partial(code, "inspection"))
    drawn = known_photos(partial(code, "thumbnail", small))
    with built_aside(*outs) as (positives, training_positives, radius, notes, *sides):
        save_positives(positives, pairs)
        save_positives(training_positives, training_pairs)
        save_radius(radius, radius_m)
        facts: list[ImageFacts] = []
        for (side, index), (table, images, pictures) in zip(
            truth.sides(), (sides[:3], sides[3:]), strict=True
        ):
            save_index(table, index)
            facts += gather_images(dataset, index.paths, images, side=side, known=inspected)
            draw_thumbnails(
                list_images(images), pictures,
                max_side_px=small.max_side_px, quality=small.quality, known=drawn,
            )  # fmt: skip
        findings += check_images(facts)
        save_notes(notes, findings)
    for note in list_notes(findings):
        print(note)


if __name__ == "__main__":
    run_stage(prepare)
