"""`python -m vpr locate PHOTO…`: where was this photo taken?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from stages.search import SearchParams
from stages.trunk import TrunkParams
from vpr.commands.locate.matches import Located, Truth, find_queries, locate_photos
from vpr.commands.locate.outputs import (
    as_json,
    as_text,
    check_targets,
    save_csv,
    save_geojson,
)
from vpr.commands.locate.page import describe_photo, write_page
from vpr.commands.locate.photos import find_photos
from vpr.commands.locate.ranking import Ranked, rank_photos
from vpr.commands.locate.recorded_run import (
    DESCRIPTORS,
    IMAGES,
    INDEX,
    MODEL,
    PREPARED,
    WHITENED,
    WHITENING,
    check_run,
    load_threshold,
)
from vpr.commands.locate.verifying import Verification, load_verification
from vpr.datasets.params import DatasetParams
from vpr.features.model import load_model
from vpr.places.crs import lies_nowhere
from vpr.places.images import list_images
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.report.sheets import PLAIN, Tile, colour_of, draw_sheet, sheet_size
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import open_search
from vpr.retrieval.whitening import find_whitening
from vpr.runtime.tensors import load_state


def locate(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="Matches for each photo.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show: Annotated[Path | None, typer.Option(help="Picture of the matches to write.")] = None,
    html: Annotated[Path | None, typer.Option(help="Page with heat maps to write.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Table to write.")] = None,
    geojson: Annotated[Path | None, typer.Option(help="Positions to write.")] = None,
) -> None:
    """Say where photos were taken, with the current model and database."""
    files = find_photos(photos)
    options = {"--show": show, "--html": html, "--csv": csv, "--geojson": geojson}
    sheet_px = sheet_size(num_rows=len(files), num_columns=1 + top)
    check_targets({option: path for option, path in options.items() if path}, sheet_px=sheet_px)
    check_run(with_images=bool(show or html))
    place = _load_places(files, with_globe=geojson is not None)
    verification = load_verification()
    images = list_images(IMAGES / "database") if show or html else []
    ranked = _rank(files, verification, top=top, with_responses=html is not None)
    located = place(
        indices=np.stack([row.indices for row in ranked]),
        distances=np.stack([row.distances for row in ranked]),
        inliers=[_inliers(row) for row in ranked],
    )
    if csv:
        save_csv(csv, located)
    if geojson:
        save_geojson(geojson, located)
    if show:
        draw_sheet([_row(one, images) for one in located]).save(show)
    if html:
        pairs = zip(located, ranked, strict=True)
        shown = [describe_photo(one, row, images) for one, row in pairs]
        write_page(html, shown)
    # Last, and in whatever letters the terminal has: the files are written by then.
    text = as_json(located) if json else "\n".join(map(as_text, located))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding))


def _inliers(row: Ranked) -> list[int] | None:
    if row.verified is None:
        return None
    return [len(row.verified.of(0, image)) for image in row.indices.tolist()]


def _rank(
    files: Sequence[Path], verification: Verification | None, *, top: int, with_responses: bool
) -> list[Ranked]:
    database = load_descriptors(DESCRIPTORS)
    if top > len(database):
        raise ValueError(f"--top {top}: the database has only {len(database)} images")
    trunk = locked_params("trunk_db", "trunk", TrunkParams)
    params = locked_params("search", "search", SearchParams)
    whitened = load_descriptors(WHITENED)
    ranked = rank_photos(
        load_model(MODEL), files, database,
        whitening=find_whitening(load_state(WHITENING)),
        search=open_search(INDEX, params.index, whitened, effort=params.effort),
        precision=getattr(torch, trunk.precision),
        scale_to=trunk.scale_to, verification=verification, top=top,
        with_responses=with_responses,
    )  # fmt: skip
    return list(ranked)


def _load_places(files: Sequence[Path], *, with_globe: bool) -> partial[list[Located]]:
    """Prepare `locate_photos`, so that damaged files are named before the network runs."""
    # Of the run that made the descriptors: params.yaml may name another set by now.
    dataset = locked_params("prepare", "dataset", DatasetParams)
    database = load_index(PREPARED / "database.csv")
    nowhere = dataset.crs is None or lies_nowhere(database.coordinates, dataset.crs)
    if with_globe and nowhere:
        raise ValueError(
            "--geojson: GeoJSON needs longitude and latitude: set dataset.crs in params.yaml to "
            "the coordinates' reference system, such as EPSG:32633, and run `dvc repro`"
        )
    query = load_index(PREPARED / "query.csv")
    named = [Path(dataset.dir) / path for path in query.paths]
    gathered = list_images(IMAGES / "query")
    by_set, by_number = find_queries(files, named), find_queries(files, gathered)
    return partial(
        locate_photos,
        files,
        database=database,
        crs=dataset.crs,
        threshold=load_threshold(),
        truth=Truth(query, load_positives(PREPARED / "positives.npz")),
        queries=[a if a is not None else b for a, b in zip(by_set, by_number, strict=True)],
    )


def _row(located: Located, images: Sequence[Path]) -> list[Tile]:
    photo = Tile(Path(located.photo), "the photo", PLAIN)
    matches = (
        Tile(images[match.image], f"{match.rank}: distance {match.distance:.3f}",
             colour_of(match.correct))
        for match in located.matches
    )  # fmt: skip
    return [photo, *matches]
