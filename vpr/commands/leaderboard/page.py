"""A leaderboard as a page that opens from disk, with the reports that DVC's cache has."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path

from markupsafe import Markup

from vpr.commands.compare.runs import ComparedRun, recorded_hashes
from vpr.commands.leaderboard.standings import Leaderboard
from vpr.commands.leaderboard.tables import explain, list_cells, list_heads
from vpr.report.pages import TEMPLATES, load_templates
from vpr.repository.dvc import find_cache
from vpr.repository.locked_run import Stage
from vpr.repository.recorded_outs import is_whole, stored_at
from vpr.run_files import DETAILS, QUERIES, RECALL, REPORT

HERE = Path(__file__).parent
INDEX, REPORTS = "index.html", "reports"


def write_page(folder: Path, board: Leaderboard) -> int:
    """Write the page, and beside it the report of each run that the cache has whole.

    Args:
        folder: The folder to write; an earlier leaderboard there is replaced.
        board: The table.

    Returns:
        Number of reports.

    Raises:
        ValueError: If the folder holds anything else.
    """
    if folder.exists() and (others := {file.name for file in folder.iterdir()} - {INDEX, REPORTS}):
        raise ValueError(f"--html {folder}: has other files ({sorted(others)[0]}): name a new one")
    shutil.rmtree(folder / REPORTS, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    cache, links = find_cache(), dict[str, str]()
    runs = [entry.run for row in board.rows for entry in row.entries.values()]
    for number, run in enumerate(runs):
        place = f"{REPORTS}/{number:02d}"
        if _copy_report(run, cache, folder / place):
            links[run.name] = f"{place}/{REPORT.name}"
    style = (TEMPLATES / "style.css").read_text() + (HERE / "leaderboard.css").read_text()
    script = (HERE / "leaderboard.js").read_text()
    text = load_templates(HERE).get_template("page.html").render(
        board=board, heads=list_heads(board), cells=[list_cells(board, row) for row in board.rows],
        links=links, notes=explain(board),
        style=Markup(style), script=Markup(script),  # noqa: S704 - our own
        hashes={"style": _hash(style), "script": _hash(script)},
    )  # fmt: skip
    (folder / INDEX).write_text(text, encoding="utf-8")
    return len(links)


def _hash(text: str) -> str:
    """Hash of an inline script or style, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _copy_report(run: ComparedRun, cache: Path, target: Path) -> bool:
    """Copy a run's report from the cache, if it is there whole and of this run's results."""
    made, report = recorded_hashes(run), run.stages.get("report", Stage())
    read = {dep.path: dep.md5 for dep in report.deps}
    results = [str(path) for path in (RECALL, DETAILS, QUERIES)]
    md5 = made.get(REPORT.parent.as_posix())
    if md5 is None or any(read.get(path) != made.get(path) for path in results):
        return False  # an experiment up to evaluate: the report is of the run before
    listing = stored_at(cache, md5)
    if not is_whole(listing, md5):
        return False
    files = {entry["relpath"]: stored_at(cache, entry["md5"])
             for entry in json.loads(listing.read_bytes())}  # fmt: skip
    if not all(file.is_file() for file in files.values()):
        return False
    for name, file in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / name)
    return True
