"""`python -m vpr verify`: are cache, outs and data what DVC recorded, and the store's files whole?

DVC hashes a file once and then goes by its size and time, and trusts its cache altogether.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vpr.console.progress import track
from vpr.repository.dvc import find_cache, run_dvc
from vpr.repository.recorded_outs import (
    Recorded,
    is_whole,
    list_files,
    list_recorded,
    stored_at,
)
from vpr.runtime.artefacts import SCRATCH
from vpr.runtime.store import FOLDER, list_hashes

# A damaged file of the cache, the store or an out, and its record; None: this commit has none.
Damage = dict[Path, Recorded | None]
HOW = """To restore them: python -m vpr verify --mend
(from intact copies here, else from the remote, else by running the stage again)"""


def verify(
    mend: Annotated[bool, typer.Option("--mend", help="Restoration of damaged files.")] = False,
) -> None:
    """Hash cache, store, outs and data again, which DVC does not, and name what differs."""
    cache = find_cache()
    damaged = _find_damage(cache)
    for file, recorded in damaged.items():
        print(_describe(file, recorded), flush=True)
    if not damaged:
        print("All files here are as recorded.")
        return
    if not mend:
        print(HOW)
        sys.exit(1)
    _mend(damaged)
    lost, left = _list_lost(damaged), _find_damage(cache)
    for out in lost:
        print(f"lost: {str(out.path)!r} of {out.owner}: no intact copy is here or in the remote")
    for file, recorded in left.items():
        print(f"not mended: {_describe(file, recorded)}")
    if left or lost:
        sys.exit(1)
    print("Mended: all files are as recorded.")


def _find_damage(cache: Path) -> Damage:
    """Hash the cache, the store and every out that is here; what is absent is not damaged."""
    files = list(list_files(list_recorded(Path()), cache))
    names = {stored_at(cache, one.md5): one for one in files}
    objects = sorted(path for path in (cache / "files/md5").glob("??/*") if path.is_file())
    damaged: Damage = {
        path: names.get(path)
        for path in track(objects, total=len(objects), title="cache")
        if not is_whole(path, path.parent.name + path.name)
    }
    kept = ((path, md5) for path, md5 in list_hashes(FOLDER) if path.is_file())
    damaged |= {path: None for path, md5 in kept if not is_whole(path, md5)}
    here = [one for one in files if one.path.is_file()]
    for one in track(here, total=len(here), title="outs and data"):
        if not is_whole(one.path, one.md5):
            damaged[one.path] = one
    return damaged


def _describe(file: Path, recorded: Recorded | None) -> str:
    """Write one line for a terminal."""
    if FOLDER in file.parents:
        return f"{file}: damaged in the store of results"
    if recorded is None:
        return f"{file}: damaged in the cache; this commit does not use it"
    whose = f"{str(recorded.path)!r} of {recorded.owner}"
    if file == recorded.path:
        return f"{whose}: differs from the record, damaged or changed by hand"
    return f"{file}: damaged in the cache, where it is {whose}"


def _list_lost(damaged: Damage) -> list[Recorded]:
    """List damaged files that this commit uses and that are not back, intact, where they were."""
    return [one for file, one in damaged.items() if one and not is_whole(file, one.md5)]


def _mend(damaged: Damage) -> None:
    aside = SCRATCH / f"damaged-{time.time_ns()}"
    _set_aside(damaged, aside)
    print(f"The damaged files are now in {aside}; remove it once you need nothing in it.")
    for command in ("checkout", "pull"):
        if outs := dict.fromkeys(str(lost.out) for lost in _list_lost(damaged)):
            run_dvc(command, *outs)
    for owner in dict.fromkeys(lost.owner for lost in _list_lost(damaged)):
        if not owner.endswith(".dvc"):
            run_dvc("repro", "--force", "--single-item", owner)


def _set_aside(damaged: Damage, folder: Path) -> None:
    """Move damaged files away, so that DVC sees them missing, and refill the cache from outs.

    Args:
        damaged: Result of `_find_damage`.
        folder: Folder to move them to, numbered; nothing is deleted.
    """
    folder.mkdir(parents=True)
    for number, file in enumerate(damaged):
        shutil.move(file, folder / f"{number:04d}-{file.name}")
    for file, one in damaged.items():
        if one and file != one.path and is_whole(one.path, one.md5):
            shutil.copyfile(one.path, file)
            file.chmod(0o444)  # as DVC protects its objects
