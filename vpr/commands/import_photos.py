"""`python -m vpr import`: photos, drives and published sets -> a data set of this pipeline."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from vpr.importing.bundles import unpacked
from vpr.importing.collection import Asked, Collection, LeftOut, Side
from vpr.importing.drawer import find_form, list_forms
from vpr.importing.splitting import USUAL_RADIUS_M, Plan, make_plan
from vpr.importing.writing import MAP, TABLES, is_current, write_set
from vpr.repository.dvc import as_override, set_params

Form = Annotated[str | None, typer.Option(help="Form of the sources, if in doubt.")]
Track = Annotated[Path | None, typer.Option(help="GPX track or NMEA log with the positions.")]
ClockOffset = Annotated[
    float | None, typer.Option(help="Seconds from the source's clock to the track's.")
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy photos instead of linking.")]


def import_(
    to: Annotated[Path, typer.Option(help="Folder to create, as data/NAME.")],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Files, folders or .zip, split into both sides."),
    ] = None,
    database: Annotated[
        list[Path] | None, typer.Option(help="Source of the database; may be repeated.")
    ] = None,
    queries: Annotated[
        list[Path] | None, typer.Option(help="Source of the queries; may be repeated.")
    ] = None,
    form: Form = None,
    subset: Annotated[str | None, typer.Option(help="Part of a published set, as a city.")] = None,
    crs: Annotated[
        str | None, typer.Option(help="Reference system of metres, as EPSG:32633, or none.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column of a table, as latitude=NAME; may be repeated."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder that holds a table's images.")] = None,
    track: Track = None,
    clock_offset: ClockOffset = None,
    spacing: Annotated[float, typer.Option(help="Metres between two frames of a video.")] = 5.0,
    topic: Annotated[str | None, typer.Option(help="Image topic of a bag.")] = None,
    declination: Annotated[
        float | None, typer.Option(help="Degrees from true to magnetic north, east positive.")
    ] = None,
    crops: Annotated[int, typer.Option(help="Crops of each 360-degree photo; 0: none.")] = 4,
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="Take photos without positions; no recall.")
    ] = False,
    copy: Copy = False,
    use: Annotated[bool, typer.Option("--use", help="Name the new set in params.yaml.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
) -> None:
    """Make a data set of photos, drives or a published set, with positions in metres."""
    given: list[tuple[Side | None, Path]] = [(None, source) for source in sources or ()]
    given += [("database", source) for source in database or ()]
    given += [("query", source) for source in queries or ()]
    if not given:
        words = "; ".join(one.WORDS for one in list_forms().values())
        raise ValueError(
            f"name a SOURCE, or --database and --queries. Read are, also in a .zip: {words}"
        )
    asked = Asked(
        track=track, clock_offset_s=clock_offset, spacing_m=spacing, crs=crs,
        columns=_parse_columns(column or []), images=images, topic=topic, subset=subset,
        declination_deg=declination, crops=crops, labels=not no_labels,
    )  # fmt: skip
    with ExitStack() as opened:
        parts: list[tuple[Side | None, Collection]] = []
        for side, source in given:
            folder = opened.enter_context(unpacked(source))
            found = find_form(folder, form).read(folder, asked)
            parts.append((side, found))
            print(f"{source}: {found.form}, {len(found.shots)} photos")
        plan = make_plan(parts, crs=None if crs == "none" else crs, labels=not no_labels)
        _print_plan(plan)
        if dry_run:
            print(f"{to}: not written (--dry-run)")
        elif is_current(to, plan):
            print(f"{to}: up to date")
        else:
            _print_left_out(write_set(to, plan, copy=copy))
            drawn = f", with a map of both sides, {MAP}" if plan.has_places else ""
            print(f"{to}: written{drawn}")
    if use and not dry_run:
        for change in set_params(choose_params(to, plan)):
            print(f"params.yaml: {change}")
    else:
        print("next:\n    " + next_command(to, plan))


def choose_params(folder: Path, plan: Plan) -> dict[str, object]:
    """Choose the parameters that name the new set."""
    return {
        "dataset.dir": folder.as_posix(), "dataset.index": TABLES["database"],
        "dataset.crs": plan.crs, "prepare.radius_m": plan.radius_m or USUAL_RADIUS_M,
    }  # fmt: skip


def next_command(folder: Path, plan: Plan) -> str:
    """Write the command that runs the pipeline on the new set."""
    values = choose_params(folder, plan).items()
    return f"dvc exp run {' '.join(f'-S {quote(as_override(*pair))}' for pair in values)}"


def _parse_columns(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if not all(text.partition("=")):
            raise ValueError(f"--column {text}: expected as latitude=NAME")
    return dict(text.split("=", 1) for text in texts)


def _print_plan(plan: Plan) -> None:
    database, query = (len(shots) for shots in plan.sides.values())
    print(f"{database} database photos and {query} queries, {plan.words}")
    print(f"positions: {plan.crs or ('of no place on Earth' if plan.has_places else 'unknown')}")
    _print_left_out(plan.left_out)
    for note in plan.notes:
        print(f"NOTE {note}")


def _print_left_out(left_out: LeftOut) -> None:
    for line in left_out.lines():
        print(f"left out: {line}")
