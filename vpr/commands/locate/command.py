"""`python -m vpr locate PHOTO…`: where was this photo taken?"""

from __future__ import annotations

import sys
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
from vpr.images.numbered import NumberedImages
from vpr.locating.matches import Located, Places
from vpr.locating.run import check_run, load_run
from vpr.places.crs import lies_nowhere
from vpr.report.pictures import PLAIN, Tile, colour_of, draw_sheet, sheet_size
from vpr.run_files import DATABASE_IMAGES


def locate(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.")],
    run: Annotated[Path, typer.Option(help="Folder of the finished run.")] = Path(),
    top: Annotated[int, typer.Option(min=1, help="Number of matches for each photo.")] = 5,
    json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output, in place of text.")
    ] = False,
    show: Annotated[
        Path | None, typer.Option(help="Picture of the matches, a file to write.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Page with a map and heat maps, a file to write.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Table of the matches, a file to write.")] = None,
    geojson: Annotated[
        Path | None, typer.Option(help="Positions of the matches, a file to write.")
    ] = None,
) -> None:
    """Say where photos were taken, with the current model and database."""
    files = find_photos(photos)
    options = {"--show": show, "--html": html, "--csv": csv, "--geojson": geojson}
    sheet_px = sheet_size(num_rows=len(files), num_columns=1 + top)
    check_targets({option: path for option, path in options.items() if path}, sheet_px=sheet_px)
    check_run(run, with_images=bool(show or html))
    loaded = load_run(run)
    if geojson:
        _check_globe(loaded.dataset.crs, loaded.places)
    images = NumberedImages(run / DATABASE_IMAGES)
    ranked = loaded.rank(files, top=top, with_responses=html is not None)
    located = loaded.describe(files, ranked, top=top)
    if csv:
        save_csv(csv, located)
    if geojson:
        save_geojson(geojson, located)
    if show:
        draw_sheet([_row(one, images) for one in located]).save(show)
    if html:
        pairs = zip(located, ranked, strict=True)
        shown = [describe_photo(one, row, images, loaded.places) for one, row in pairs]
        write_page(html, shown)
    # Last, and in whatever letters the terminal has: the files are written by then.
    text = as_json(located) if json else "\n".join(map(as_text, located))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding))


def _check_globe(crs: str | None, places: Places) -> None:
    if (
        crs is None
        or not places.database.has_places
        or lies_nowhere(places.database.coordinates, crs)
    ):
        raise ValueError(
            "--geojson: GeoJSON needs longitude and latitude: set dataset.crs in params.yaml to "
            "the coordinates' reference system, such as EPSG:32633, and run `dvc repro`"
        )


def _row(located: Located, images: NumberedImages) -> list[Tile]:
    photo = Tile(Path(located.photo), "the photo", PLAIN)
    matches = (
        Tile(images[match.image], f"{match.rank}: distance {match.distance:.3f}",
             colour_of(match.correct))
        for match in located.matches
    )  # fmt: skip
    return [photo, *matches]
