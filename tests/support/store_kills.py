"""Kills at each step that a process takes in the store's folder, one after the other."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

STEPS = ("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.utime")


def kills_at_each_step(store: Path, work: Callable[[], object]) -> Iterator[int]:
    """Run some work in a process that is killed at its first step in a folder, its second, ...

    Yields:
        The number of the step, after each kill; it ends once the work does.
    """
    for step in itertools.count():
        child = os.fork()
        if child == 0:
            _die_at(step, str(store.resolve()))
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status
        yield step


def _die_at(step: int, folder: str) -> None:
    """Kill this process when it takes a step in a folder for the n-th time."""
    upcoming = itertools.count()

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event in STEPS:
            paths = [os.path.abspath(arg) for arg in args if isinstance(arg, (str, os.PathLike))]  # noqa: PTH100 # Path.resolve would be a step too
            if any(path.startswith(folder) for path in paths) and next(upcoming) == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
