"""Seconds a query takes on this machine, by the code of each run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from vpr.repository.dvc import find_cache
from vpr.repository.recorded_outs import list_files, list_locked, stored_at
from vpr.repository.revisions import WORKSPACE, find_revision
from vpr.run_files import QUERY_IMAGES

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
        folder = home if revision.files is None else Path(scratch)
        for path, content in (revision.files or {}).items():
            _place(folder / path).write_bytes(content)
        if revision.files is not None:
            cache = find_cache()
            for file in list_files(list_locked(folder), cache):
                stored, place = stored_at(cache, file.md5).absolute(), folder / file.path
                if stored.is_file() and not file.md5.endswith(".dir") and not place.exists():
                    _place(place).symlink_to(stored)
        command = [sys.executable, "-c", SCRIPT, str(QUERY_IMAGES), str(count)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["failed"])[-1].removeprefix("ValueError: ")
        raise ValueError(f"{name}: --time: {reason}")
    return float(done.stdout.split()[-1])


def _place(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
