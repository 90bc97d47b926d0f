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
    print_text,
    require_globe,
    save_csv,
    save_geojson,
)
from vpr.commands.locate.page import describe_photo, write_page
from vpr.images.file_kinds import READ, READ_SUFFIXES, describe_left_out, is_junk
from vpr.images.numbered import NumberedImages
from vpr.locating.matches import Located
from vpr.locating.run import check_run, load_run
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
    check_targets(options, sheet_px=sheet_px)
    check_run(run, with_images=bool(show or html))
    loaded = load_run(run)
    require_globe(options, loaded.places)
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
    # Last: the files are written by then, whatever becomes of the terminal.
    print_text(as_json(located) if json else "\n".join(map(as_text, located)))


def _row(located: Located, images: NumberedImages) -> list[Tile]:
    photo = Tile(Path(located.photo), "the photo", PLAIN)
    matches = (
        Tile(images[match.image], f"{match.rank}: distance {match.distance:.3f}",
             colour_of(match.correct))
        for match in located.matches
    )  # fmt: skip
    return [photo, *matches]


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """Find photos: the files, and the images in each folder by name, without its folders.

    What else a folder holds is counted on standard error.

    Raises:
        ValueError: If a path is not a file, a folder holds no image, or a name is not UTF-8: no
            table, page or JSON could hold it.
    """
    found = [photo for path in paths for photo in (_inside(path) if path.is_dir() else [path])]
    for photo in found:
        if not photo.is_file():
            raise ValueError(f"{photo}: there is no such photo or folder")
    others = [
        repr(name) for name in map(str, found) if any("\ud800" <= sign <= "\udfff" for sign in name)
    ]
    if others:
        raise ValueError(
            f"{', '.join(others)}: expected names in UTF-8, in which tables and pages are "
            "written: rename files whose names contain \\udc80 to \\udcff"
        )
    return found


def _inside(folder: Path) -> list[Path]:
    # What is a broken link stays, and is refused by name.
    files = [file for file in folder.iterdir() if not (is_junk(Path(file.name)) or file.is_dir())]
    photos = sorted(file for file in files if file.suffix.lower() in READ_SUFFIXES)
    others = [file for file in files if file.suffix.lower() not in READ_SUFFIXES]
    if not photos:
        found = f"left out {describe_left_out(others)}" if others else f"only {READ} are read"
        raise ValueError(f"{folder}: holds no images: {found}")
    if others:
        print(f"NOTE {folder}: left out {describe_left_out(others)}", file=sys.stderr)
    return photos
