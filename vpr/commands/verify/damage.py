"""Files whose bytes changed without DVC, in its cache or in outs, and setting them aside.

DVC hashes a file once and then goes by its size and time, and trusts its cache altogether.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpr.console.progress import track
from vpr.repository.recorded_outs import FOLDER, Recorded, is_whole, list_files
from vpr.runtime.hashing import hash_file


@dataclass(frozen=True)
class Damage:
    """One file whose bytes are not what they should be.

    Args:
        file: The file: an object of the cache, or a part of an out.
        recorded: What it is; None for an object that nothing in this commit names.
        in_cache: Which of the two.
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


def find_damage(root: Path, cache: Path, recorded: Sequence[Recorded]) -> list[Damage]:
    """Hash the whole cache, and every out that is here.

    Args:
        root: The repository.
        cache: DVC's cache.
        recorded: What `list_recorded` gave.

    Returns:
        What is damaged; what is absent is not.
    """
    files = list(list_files(list(recorded), cache))
    names = {one.md5: one for one in files}
    objects = sorted(path for path in (cache / "files/md5").glob("??/*") if path.is_file())
    damaged = [
        Damage(path, names.get(path.parent.name + path.name), in_cache=True)
        for path in track(objects, total=len(objects), title="cache")
        if hash_file(path) != (path.parent.name + path.name).removesuffix(FOLDER)
    ]
    here = [one for one in files if (root / one.path).is_file()]
    damaged += [
        Damage(root / one.path, one, in_cache=False)
        for one in track(here, total=len(here), title="outs and data")
        if not is_whole(root / one.path, one.md5)
    ]
    return damaged


def set_aside(damaged: Sequence[Damage], folder: Path, cache: Path, root: Path) -> None:
    """Move damaged files away, so that DVC sees them missing, and refill the cache from outs.

    Args:
        damaged: What `find_damage` gave.
        folder: Where they go, numbered; nothing is deleted.
        cache: DVC's cache.
        root: The repository.
    """
    folder.mkdir(parents=True)
    for number, one in enumerate(damaged):
        shutil.move(one.file, folder / f"{number:04d}-{one.file.name}")
    for one in damaged:
        if one.in_cache and one.recorded and is_whole(root / one.recorded.path, one.recorded.md5):
            shutil.copyfile(root / one.recorded.path, one.file)
            one.file.chmod(0o444)  # as DVC protects its objects


def list_lost(damaged: Sequence[Damage]) -> list[Recorded]:
    """List damaged files that this commit uses and that are not back, whole, where they were."""
    return [
        one.recorded for one in damaged if one.recorded and not is_whole(one.file, one.recorded.md5)
    ]
