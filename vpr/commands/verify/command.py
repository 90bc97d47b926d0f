"""`python -m vpr verify`: are the cache, the outs and the data what DVC recorded?"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.verify.damage import Damage, find_damage, list_lost, set_aside
from vpr.repository.dvc import find_cache, tell_dvc
from vpr.repository.recorded_outs import list_recorded
from vpr.runtime.artefacts import SCRATCH

ROOT = Path()
HOW = """To mend it: python -m vpr verify --mend
(from intact copies here, else from the remote, else by running the stage again)"""


def verify(
    mend: Annotated[bool, typer.Option(help="Restore damaged files.")] = False,
) -> None:
    """Hash the cache, the outs and the data again, which DVC does not, and name what differs."""
    cache = find_cache()
    damaged = find_damage(ROOT, cache, list_recorded(ROOT))
    for one in damaged:
        print(one, flush=True)
    if not damaged:
        print("All files here are as recorded.")
        return
    if not mend:
        print(HOW)
        sys.exit(1)
    _mend(damaged, cache)
    for lost in list_lost(damaged):
        print(f"lost: {str(lost.path)!r} of {lost.owner}: no intact copy is here or in the remote")
    left = find_damage(ROOT, cache, list_recorded(ROOT))
    for one in left:
        print(f"not mended: {one}")
    if left or list_lost(damaged):
        sys.exit(1)
    print("Mended: all files are as recorded.")


def _mend(damaged: Sequence[Damage], cache: Path) -> None:
    aside = SCRATCH / f"damaged-{time.time_ns()}"
    set_aside(damaged, aside, cache, ROOT)
    print(f"The damaged files are now in {aside}; remove it once you need nothing in it.")
    for command in ("checkout", "pull"):
        outs = dict.fromkeys(str(lost.out) for lost in list_lost(damaged))
        if outs:
            tell_dvc(command, *outs)
    for owner in dict.fromkeys(lost.owner for lost in list_lost(damaged)):
        if not owner.endswith(".dvc"):
            tell_dvc("repro", "--force", "--single-item", owner)
