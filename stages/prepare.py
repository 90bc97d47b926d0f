"""Stage prepare: a data set's ground truth -> indices, positives, images, thumbnails."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.datasets.checks import check_places, describe_set
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
from vpr.places.gathering import gather_images
from vpr.places.index import save_index
from vpr.places.positives import save_positives, save_radius
from vpr.places.radius import find_same_places, find_training_positives, keep_same_way
from vpr.runtime.artefacts import built_aside
from vpr.runtime.environment import installed_version
from vpr.runtime.hashing import hash_work
from vpr.runtime.parameters import load_params


def prepare(
    *,
    database: Path,
    query: Path,
    positives: Path,
    training_positives: Path,
    database_images: Path,
    query_images: Path,
    radius: Path,
    notes: Path,
    database_thumbnails: Path,
    query_thumbnails: Path,
) -> None:
    """Read the ground truth, check it and every image, and find the positives.

    Every argument is written. Positives are query x database, training positives database x
    database; notes say what in the data set affects its numbers.
    """
    chosen, small = (
        load_params("dataset", DatasetParams),
        load_params("thumbnails", ThumbnailsParams),
    )
    dataset = Path(chosen.dir)
    near = load_params("prepare", PrepareParams)
    max_deg = near.max_heading_deg
    truth, radius_m, _ = follow_protocol(
        parse_set(dataset, chosen.index), chosen.protocol, asked_m=near.radius_m, crs=chosen.crs,
        max_heading_deg=max_deg,
    )  # fmt: skip
    findings = check_places(truth, radius_m=radius_m, crs=chosen.crs, max_heading_deg=max_deg)
    require_usable(findings)
    if chosen.protocol is not None:
        rules = f"{chosen.protocol}: {PROTOCOLS[chosen.protocol].describe()}"
        findings.insert(0, Finding("protocol", rules, Level.NOTE))
    positive_pairs = find_same_places(
        truth.database, truth.query, radius_m=radius_m, max_heading_deg=max_deg
    )
    print(describe_set(truth, positive_pairs, radius_m=radius_m, crs=chosen.crs))
    outs = (
        database, query, positives, training_positives, database_images, query_images, radius,
        notes, database_thumbnails, query_thumbnails,
    )  # fmt: skip
    code = partial(hash_work, installed_version("pillow"), installed_version("numpy"), inputs=())
    inspected = known_photos(partial(code, "inspection"))
    drawn = known_photos(partial(code, "thumbnail", small))
    with built_aside(*outs) as aside:
        save_index(aside[0], truth.database)
        save_index(aside[1], truth.query)
        save_positives(aside[2], positive_pairs)
        places, headings = truth.database.coordinates, truth.database.heading
        training_pairs = find_training_positives(places, radius_m=radius_m)
        save_positives(aside[3], keep_same_way(training_pairs, headings, headings, max_deg=max_deg))
        facts = gather_images(
            dataset, truth.database.paths, aside[4], side="database", known=inspected
        )
        facts += gather_images(dataset, truth.query.paths, aside[5], side="query", known=inspected)
        save_radius(aside[6], radius_m)
        findings += check_images(facts)
        save_notes(aside[7], findings)
        for images, pictures in zip(aside[4:6], aside[8:], strict=True):
            draw_thumbnails(
                list_images(images), pictures,
                max_side_px=small.max_side_px, quality=small.quality, known=drawn,
            )  # fmt: skip
    for note in list_notes(findings):
        print(note)


if __name__ == "__main__":
    run_stage(prepare)
