"""`python -m vpr track FILM|FOLDER`: where did this drive go?"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from vpr.commands.locate.outputs import check_targets, print_text, require_globe
from vpr.commands.track.outputs import as_text, save_csv, save_geojson, save_gpx, write_page
from vpr.console.progress import track as show_progress
from vpr.locating.drives import find_paces, load_tracker, read_drive
from vpr.locating.ranking import rank_photos


def track(
    source: Annotated[Path, typer.Argument(help="Video, or folder of photos in order.")],
    run: Annotated[Path, typer.Option(help="Folder of the finished run.")] = Path(),
    step_m: Annotated[
        float | None,
        typer.Option(min=0.01, help="Mean metres between two photos, in place of the run's."),
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Live filter: each photo by earlier photos only.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Table of the path, a file to write.")] = None,
    geojson: Annotated[Path | None, typer.Option(help="Path as GeoJSON, a file to write.")] = None,
    gpx: Annotated[Path | None, typer.Option(help="Path as GPX, a file to write.")] = None,
    html: Annotated[Path | None, typer.Option(help="Page with the path, a file to write.")] = None,
) -> None:
    """Say where a drive went, photo by photo, and which parts are unsure or unknown."""
    options = {"--csv": csv, "--geojson": geojson, "--gpx": gpx, "--html": html}
    check_targets(options)
    tracker = load_tracker(run, step_m=step_m)
    require_globe(options, tracker.places)
    with TemporaryDirectory() as scratch:
        photos, left_out = read_drive(source, Path(scratch))
        for line in left_out.lines():
            print(f"left out: {line}", file=sys.stderr)
        files = [photo.file for photo in photos]
        ranked = rank_photos(tracker.ranker, files, top=1, with_responses=False)
        paces = find_paces([photo.time for photo in photos])
        shown = show_progress(ranked, total=len(photos), title="photos")
        beliefs = list(tracker.follow(shown, paces))
    if not causal:
        beliefs = tracker.follower.filter.smooth(beliefs)
    if not tracker.follower.contrast.is_learnt:
        print("note: no place of the database was photographed twice, so probabilities are the "
              "demo's", file=sys.stderr)  # fmt: skip
    path = [
        tracker.describe(belief, photo.name, photo.time)
        for belief, photo in zip(beliefs, photos, strict=True)
    ]
    for file, save in ((csv, save_csv), (geojson, save_geojson), (gpx, save_gpx)):
        if file:
            save(file, path)
    if html:
        write_page(html, path, tracker.places)
    print_text(as_text(path))  # last: the files are written by then
