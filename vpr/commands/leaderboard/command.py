"""`python -m vpr leaderboard`: recorded runs ranked, each against a baseline."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from vpr.commands.compare.runs import ComparedRun, load_run
from vpr.commands.leaderboard.standings import Leaderboard, rank_runs
from vpr.commands.leaderboard.tables import (
    INDEX,
    as_csv,
    as_latex,
    as_markdown,
    as_text,
    write_page,
)
from vpr.evaluation.params import EvaluateParams
from vpr.repository.dvc import find_cache
from vpr.repository.recorded_outs import list_files, list_locked, stored_at
from vpr.repository.revisions import (
    WORKSPACE,
    find_revision,
    list_runs,
)
from vpr.run_files import QUERY_IMAGES
from vpr.runtime.parameters import load_params

FORMATS = {"text": as_text, "md": as_markdown, "csv": as_csv, "latex": as_latex}
REASON_WIDTH = 120  # letters; `compare` tells all of it

# The first query is not counted: libraries and memory are set up with it.
SCRIPT = """
import sys, time
sys.path.insert(0, "")  # the code of this folder, whatever Python is told to look into first
from pathlib import Path
import vpr
run = vpr.load_run(".")
photos = sorted(Path(sys.argv[1]).iterdir())
run.locate(photos[0])
chosen = photos[: int(sys.argv[2])]
start = time.perf_counter()
for photo in chosen:
    run.locate(photo)
print((time.perf_counter() - start) / len(chosen))
"""


def leaderboard(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REVS]...",
            help="Git revisions, experiments, `workspace`, folders of finished runs, or "
            "queries.csv files. Default: HEAD, every branch and every experiment.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Run to compare the others with. Default: the first.")
    ] = None,
    format: Annotated[
        Literal["text", "md", "csv", "latex"], typer.Option(help="Format of the table.")
    ] = "text",
    html: Annotated[Path | None, typer.Option(help="Folder for an offline page.")] = None,
    time: Annotated[
        int, typer.Option(min=0, help="Number of queries of each run to time, with its own code.")
    ] = 0,
) -> None:
    """Rank recorded runs by recall, with intervals and corrected tests against a baseline."""
    required = [*(runs or []), *([baseline] if baseline else [])]
    loaded, left_out = _load([*required, *([] if runs else list_runs())], required=required)
    board = rank_runs(
        loaded, load_params("evaluate", EvaluateParams), baseline=baseline or loaded[0].name
    )
    if time:
        _time(board, time)
    board.notes += [f"Left out: {reason}" for reason in left_out]
    print(FORMATS[format](board))
    if html is not None:
        count = write_page(html, board)
        print(f"\n{html / INDEX}: written, with {count} reports from DVC's cache")


def _time(board: Leaderboard, count: int) -> None:
    """Add the seconds a query to each row, one run after the other."""
    board.num_timed = count
    for row in board.rows:
        run = next(iter(row.entries.values())).run
        try:
            row.seconds = time_query(run.name, home=run.folder, count=count)
        except ValueError as error:
            board.notes.append(f"Not timed: {error}")


def time_query(name: str, *, home: Path, count: int) -> float:
    """Measure the mean time from a photo to its answer, of a run's first queries.

    Descriptor, search and verification count; loading the run does not. The run's files are taken
    from git and DVC's cache into a temporary folder, where the code of that revision runs.

    Args:
        name: Name for `find_revision`, or of a folder.
        home: That folder; the current one for revisions.
        count: Number of queries.

    Returns:
        Seconds.

    Raises:
        ValueError: If the run does not load there, as when the cache lacks a file.
    """
    revision = find_revision(name if home == Path() else WORKSPACE)
    with tempfile.TemporaryDirectory() as scratch:
        folder = home
        if revision.files is not None:
            folder = Path(scratch)
            _check_out(revision.files, folder)
        command = [sys.executable, "-c", SCRIPT, str(QUERY_IMAGES), str(count)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["failed"])[-1].removeprefix("ValueError: ")
        raise ValueError(f"{name}: --time: {reason}")
    return float(done.stdout.split()[-1])


def _check_out(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a commit, and link what its dvc.lock records and DVC's cache has."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    cache = find_cache().absolute()
    for file in list_files(list_locked(folder), cache):
        stored, place = stored_at(cache, file.md5), folder / file.path
        if stored.is_file() and not file.md5.endswith(".dir") and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(stored)


def _load(names: list[str], *, required: list[str]) -> tuple[list[ComparedRun], list[str]]:
    """Load each run once; those that were not asked for by name may have no results.

    Returns:
        The runs, and for each that is left out its name and the reason.

    Raises:
        ValueError: If a required run has no results or no run is left.
    """
    loaded: list[ComparedRun] = []
    left_out: list[str] = []
    for name in dict.fromkeys(names):
        try:
            run = load_run(name)
        except (ValueError, OSError) as error:
            if name in required:
                raise
            reason = str(error).removeprefix(f"{name}: ")
            left_out.append(f"{name}: {textwrap.shorten(reason, REASON_WIDTH, placeholder=' ...')}")
            continue
        same = [other.name for other in loaded if run.stages and other.stages == run.stages]
        if same and name not in required:
            left_out.append(f"{name}: the same run as {same[0]}")
        else:
            loaded.append(run)
    if not loaded:
        raise ValueError(f"expected recorded runs, found none: {'; '.join(left_out)}")
    return loaded, left_out
