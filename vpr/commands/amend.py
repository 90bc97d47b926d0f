"""`python -m vpr add` and `remove`: photos into the data set or out of it, and the run after it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.compare.command import HEADER, align, recall_rows
from vpr.commands.compare.runs import ComparedRun, load_run, pair_recalls
from vpr.commands.import_photos import ClockOffset, Copy, Form, Track
from vpr.commands.serve.command import find_services
from vpr.datasets.params import DatasetParams
from vpr.evaluation.params import EvaluateParams
from vpr.importing.amending import (
    Change,
    Table,
    add_photos,
    find_table,
    place_among,
    read_table,
    remove_photos,
)
from vpr.importing.bundles import unpacked
from vpr.importing.collection import Asked, Side
from vpr.importing.drawer import find_form
from vpr.repository.dvc import run_dvc
from vpr.repository.recorded_outs import list_locked, read_record, restore_run
from vpr.repository.revisions import WORKSPACE
from vpr.runtime.artefacts import claimed
from vpr.runtime.parameters import load_params

Queries = Annotated[bool, typer.Option("--queries", help="Change the queries, not the database.")]


def add(
    sources: Annotated[list[Path], typer.Argument(help="Files, folders or .zip, as for import.")],
    queries: Queries = False,
    form: Form = None,
    track: Track = None,
    clock_offset: ClockOffset = None,
    copy: Copy = False,
) -> None:
    """Add photos to the database, run the pipeline, and compare recall before and after."""

    def change(table: Table, dataset: DatasetParams) -> Change:
        asked = Asked(
            track=track, clock_offset_s=clock_offset, crs=dataset.crs or "none",
            labels=table.has_places,
        )  # fmt: skip
        with ExitStack() as opened:
            folders = [opened.enter_context(unpacked(source)) for source in sources]
            parts = [find_form(folder, form).read(folder, asked) for folder in folders]
            shots, left_out = place_among(table, parts, crs=dataset.crs)
            return add_photos(table, shots, left_out, copy=copy)

    _amend("query" if queries else "database", change, "added to")


def remove(
    photos: Annotated[
        list[str], typer.Argument(help="Names or patterns, as '*/IMG_2024*', or their files.")
    ],
    queries: Queries = False,
) -> None:
    """Take photos out of the database (files stay), run the pipeline, and compare recall."""

    def change(table: Table, dataset: DatasetParams) -> Change:
        return remove_photos(table, photos)

    _amend("query" if queries else "database", change, "taken out of")


def _amend(side: Side, change_set: Callable[[Table, DatasetParams], Change], done: str) -> None:
    dataset = load_params("dataset", DatasetParams)
    _require_own(dataset.dir)
    path = find_table(Path(dataset.dir), dataset.index, side)
    with claimed(path.parent):  # of both sides: the run is one
        start, before = time.monotonic(), _load_recorded()
        change = change_set(read_table(path), dataset)
        for line in change.left_out.lines():
            print(f"left out: {line}")
        num = len(change.photos)
        changed = f"{num} {'photo' if num == 1 else 'photos'} {done} the {side}"
        print(f"{changed}, which has {len(read_table(path).rows)} now")
        seconds = time.monotonic() - start
        _run(change)
    for process in find_services(Path()):
        with suppress(ProcessLookupError):  # it ended since
            os.kill(process, signal.SIGHUP)
            print(f"service {process}: told to take this run over")
    total = time.monotonic() - start
    print(f"{changed} in {total:.1f} s, {total - seconds:.1f} s of them `dvc repro`")
    if before is not None and change.photos:
        print("\n".join(_compare(before, load_run(WORKSPACE))))


def _require_own(folder: str) -> None:
    maker = next((out.owner for out in list_locked(Path()) if out.path == Path(folder)), None)
    if maker is not None:
        raise ValueError(
            f"dataset.dir = {folder}: the stage {maker} makes this set, and would make it again "
            "without the change: change that stage's parameters, or write a set of your own by "
            "`python -m vpr export data/NAME --to csv` and name it in dataset.dir"
        )


def _load_recorded() -> ComparedRun | None:
    try:
        return load_run(WORKSPACE)
    except ValueError as error:
        print(f"recall before is not known: {error}")
        return None


def _run(change: Change) -> None:
    record = read_record()
    try:
        done = run_dvc("repro")
    except KeyboardInterrupt:
        print(f"\ninterrupted: {change.table} stays changed; `dvc repro` goes on")
        raise
    if not done:
        change.undo()
        back = restore_run(record)
        raise ValueError(
            f"`dvc repro` failed, its message is above: {change.table} is as before, "
            + ("and so is the run" if back else "but not all of the run: `dvc repro` makes it")
        )


def _compare(before: ComparedRun, after: ComparedRun) -> list[str]:
    """Compare recall on the queries that both have, in the order of the route."""
    places = {path: number for number, path in enumerate(after.paths)}
    rows = [number for number, path in enumerate(before.paths) if path in places]
    then = [places[before.paths[number]] for number in rows]
    if not rows or not set(before.depths) & set(after.depths):
        return ["recall is not compared: no query with a known position is in both runs"]
    paired = pair_recalls(
        replace(before, ranks=before.ranks[rows]), replace(after, ranks=after.ranks[then]),
        load_params("evaluate", EvaluateParams),
    )  # fmt: skip
    names = ("", "before", "after", "difference", *HEADER[4:])
    return [f"The same {len(rows)} queries:", *align([names, *recall_rows(paired)])]
