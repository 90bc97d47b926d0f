"""`python -m vpr loops FILM|FOLDER`: where does a drive come back to where it was?"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from vpr.commands.locate.outputs import check_targets
from vpr.console.progress import track
from vpr.locating.drives import DrivePhoto, read_drive
from vpr.locating.loops import Loop, find_limit, find_loops
from vpr.locating.run import load_run

TURN_RAD = math.radians(30)  # standard error of the direction of view between photos that match


def loops(
    source: Annotated[Path, typer.Argument(help="Video, or folder of photos in order.")],
    run: Annotated[Path, typer.Option(help="Folder of the finished run.")] = Path(),
    exclude_m: Annotated[
        float, typer.Option(min=0, help="Distance just driven in which no loop is sought, metres.")
    ] = 50.0,
    step_m: Annotated[float, typer.Option(min=0.01, help="Mean metres between two photos.")] = 5.0,
    top: Annotated[int, typer.Option(min=1, help="Number of earlier photos to verify.")] = 5,
    g2o: Annotated[Path | None, typer.Option(help="Edges for g2o, a file to write.")] = None,
) -> None:
    """List the photos of a drive that show a place it passed before, with their inliers."""
    check_targets({"--g2o": g2o})
    loaded = load_run(run)
    calibration = loaded.places.calibration
    limit = find_limit(calibration, top=top)
    with TemporaryDirectory() as scratch:
        photos, left_out = read_drive(source, Path(scratch))
        for line in left_out.lines():
            print(f"left out: {line}", file=sys.stderr)
        found = find_loops(
            loaded.ranker, [photo.file for photo in photos],
            apart=max(1, math.ceil(exclude_m / step_m)), top=top, limit=limit,
        )  # fmt: skip
        closed = [loop for loop in track(found, total=len(photos), title="loops") if loop]
    if g2o:
        radius_m = 25.0 if calibration is None else calibration.radius_m
        g2o.write_text(as_g2o(closed, photos, radius_m=radius_m), encoding="utf-8")
    for loop in closed:
        print(
            f"{photos[loop.photo].name!r} shows the place of {photos[loop.earlier].name!r}: "
            f"{loop.inliers} inliers, log10 NFA {loop.log10_nfa:.0f}, cosine {loop.similarity:.3f}"
        )
    print(f"{len(closed)} loops in {len(photos)} photos (log10 NFA {limit:.0f} or less)")


def as_g2o(closed: Sequence[Loop], photos: Sequence[DrivePhoto], *, radius_m: float) -> str:
    """Write loops as edges of a pose graph (Kümmerle et al., g2o, ICRA 2011), photos by number.

    Two photos give no distance: an edge says same place, to within the radius, and same direction.
    """
    place, turn = 1 / radius_m**2, 1 / TURN_RAD**2
    lines = []
    for loop in closed:
        names = f"{photos[loop.earlier].name!r} {photos[loop.photo].name!r}"
        lines += [
            f"# {names} inliers {loop.inliers} log10_nfa {loop.log10_nfa}",
            f"EDGE_SE2 {loop.earlier} {loop.photo} 0 0 0 {place:g} 0 0 {place:g} 0 {turn:g}",
        ]
    return "".join(f"{line}\n" for line in lines)
