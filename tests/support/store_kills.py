"""Work in forks of this process, and kills at each step that they take in the store's folder."""

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

        def work_until_killed(step: int = step) -> None:
            _die_at(step, str(store.resolve()))
            work()

        code = ended(forked(work_until_killed))
        if code == 0:
            return
        assert code == -signal.SIGKILL, code
        yield step


def forked(work: Callable[[], object]) -> int:
    """Run some work in a process that has imported what this one has; give its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:  # whatever was raised
            os._exit(1)
    return child


def ended(child: int) -> int:
    """Wait for the end of a process, and give its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die_at(step: int, folder: str) -> None:
    """Kill this process when it takes a step in a folder for the n-th time."""
    upcoming = itertools.count()

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event in STEPS:
            paths = [os.path.abspath(arg) for arg in args if isinstance(arg, (str, os.PathLike))]  # noqa: PTH100 # Path.resolve would be a step too
            if any(path.startswith(folder) for path in paths) and next(upcoming) == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
