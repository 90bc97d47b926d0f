"""`python -m vpr locate PHOTO…`: where was this photo taken?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.locate.outputs import (
    as_json,
    as_text,
    check_targets,
    save_csv,
    save_geojson,
)
from vpr.commands.locate.page import describe_photo, write_page
from vpr.commands.locate.photos import find_photos
from vpr.datasets.params import DatasetParams
from vpr.images.image_files import Photo, list_images, path_of
from vpr.locating.loading import load_places, load_ranker
from vpr.locating.matches import Located, Places, find_queries, locate_ranked
from vpr.locating.ranking import rank_photos
from vpr.locating.recorded_run import IMAGES, WHITENED, check_run
from vpr.places.crs import lies_nowhere
from vpr.report.pictures import PLAIN, Tile, colour_of, draw_sheet, sheet_size
from vpr.retrieval.descriptors import load_descriptors


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
    dataset, places = load_places()
    if top > len(places.database.paths):
        raise ValueError(f"--top {top}: the database has only {len(places.database.paths)} images")
    if geojson:
        _check_globe(dataset.crs, places)
    queries = _number_queries(files, dataset, places)
    images = list_images(IMAGES / "database") if show or html else []
    ranker = load_ranker(load_descriptors(WHITENED))
    ranked = list(rank_photos(ranker, files, top=top, with_responses=html is not None))
    located = locate_ranked(files, ranked, places, queries)
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


def _check_globe(crs: str | None, places: Places) -> None:
    if crs is None or lies_nowhere(places.database.coordinates, crs):
        raise ValueError(
            "--geojson: GeoJSON needs longitude and latitude: set dataset.crs in params.yaml to "
            "the coordinates' reference system, such as EPSG:32633, and run `dvc repro`"
        )


def _number_queries(
    files: Sequence[Path], dataset: DatasetParams, places: Places
) -> list[int | None]:
    named = [Path(dataset.dir) / path for path in places.truth.query.paths]
    gathered = list(map(path_of, list_images(IMAGES / "query")))
    by_set, by_number = find_queries(files, named), find_queries(files, gathered)
    return [a if a is not None else b for a, b in zip(by_set, by_number, strict=True)]


def _row(located: Located, images: Sequence[Photo]) -> list[Tile]:
    photo = Tile(Path(located.photo), "the photo", PLAIN)
    matches = (
        Tile(images[match.image], f"{match.rank}: distance {match.distance:.3f}",
             colour_of(match.correct))
        for match in located.matches
    )  # fmt: skip
    return [photo, *matches]
