"""`python -m vpr verify`: are the cache, the outs and the data what DVC recorded?

DVC hashes a file once and then goes by its size and time, and trusts its cache altogether.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vpr.console.progress import track
from vpr.repository.dvc import find_cache, run_dvc
from vpr.repository.recorded_outs import FOLDER, Recorded, is_whole, list_files, list_recorded
from vpr.runtime.artefacts import SCRATCH
from vpr.runtime.hashing import hash_file

ROOT = Path()
HOW = """To restore them: python -m vpr verify --mend
(from intact copies here, else from the remote, else by running the stage again)"""


def verify(
    mend: Annotated[bool, typer.Option("--mend", help="Restoration of damaged files.")] = False,
) -> None:
    """Hash the cache, the outs and the data again, which DVC does not, and name what differs."""
    cache = find_cache()
    damaged = _find_damage(cache)
    for one in damaged:
        print(one, flush=True)
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
    for one in left:
        print(f"not mended: {one}")
    if left or lost:
        sys.exit(1)
    print("Mended: all files are as recorded.")


@dataclass(frozen=True)
class Damage:
    """A file whose bytes are not what they should be.

    Args:
        file: The file: an object of the cache, or a part of an out.
        recorded: Its record; None for an object that nothing in this commit names.
        in_cache: Whether it is an object of the cache.
    """

    file: Path
    recorded: Recorded | None
    in_cache: bool

    def __str__(self) -> str:
        """Write one line for a terminal."""
        if self.recorded is None:
            return f"{self.file}: damaged in the cache; this commit does not use it"
        whose = f"{str(self.recorded.path)!r} of {self.recorded.owner}"
        if self.in_cache:
            return f"{self.file}: damaged in the cache, where it is {whose}"
        return f"{whose}: differs from the record, damaged or changed by hand"


def _find_damage(cache: Path) -> list[Damage]:
    """Hash the whole cache, and every out that is here; what is absent is not damaged."""
    files = list(list_files(list_recorded(ROOT), cache))
    names = {one.md5: one for one in files}
    objects = sorted(path for path in (cache / "files/md5").glob("??/*") if path.is_file())
    damaged = [
        Damage(path, names.get(path.parent.name + path.name), in_cache=True)
        for path in track(objects, total=len(objects), title="cache")
        if hash_file(path) != (path.parent.name + path.name).removesuffix(FOLDER)
    ]
    here = [one for one in files if (ROOT / one.path).is_file()]
    damaged += [
        Damage(ROOT / one.path, one, in_cache=False)
        for one in track(here, total=len(here), title="outs and data")
        if not is_whole(ROOT / one.path, one.md5)
    ]
    return damaged


def _list_lost(damaged: Sequence[Damage]) -> list[Recorded]:
    """List damaged files that this commit uses and that are not back, intact, where they were."""
    return [
        one.recorded for one in damaged if one.recorded and not is_whole(one.file, one.recorded.md5)
    ]


def _mend(damaged: Sequence[Damage]) -> None:
    aside = SCRATCH / f"damaged-{time.time_ns()}"
    _set_aside(damaged, aside)
    print(f"The damaged files are now in {aside}; remove it once you need nothing in it.")
    for command in ("checkout", "pull"):
        outs = dict.fromkeys(str(lost.out) for lost in _list_lost(damaged))
        if outs:
            run_dvc(command, *outs)
    for owner in dict.fromkeys(lost.owner for lost in _list_lost(damaged)):
        if not owner.endswith(".dvc"):
            run_dvc("repro", "--force", "--single-item", owner)


def _set_aside(damaged: Sequence[Damage], folder: Path) -> None:
    """Move damaged files away, so that DVC sees them missing, and refill the cache from outs.

    Args:
        damaged: Result of `_find_damage`.
        folder: Folder to move them to, numbered; nothing is deleted.
    """
    folder.mkdir(parents=True)
    for number, one in enumerate(damaged):
        shutil.move(one.file, folder / f"{number:04d}-{one.file.name}")
    for one in damaged:
        if one.in_cache and one.recorded and is_whole(ROOT / one.recorded.path, one.recorded.md5):
            shutil.copyfile(ROOT / one.recorded.path, one.file)
            one.file.chmod(0o444)  # as DVC protects its objects
