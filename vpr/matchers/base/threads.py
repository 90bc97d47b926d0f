"""Work on all cores, each item on one thread, so that its bits do not depend on their number.

A sum on two threads rounds differently from one: descriptors change by a unit in their last place,
points with nearly equal scores change places, and MAGSAC++ then draws other samples.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from vpr.runtime.ordered_map import map_ahead

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_cores(
    function: Callable[[Item], Result], items: Iterable[Item], *, at_once: int, ahead: int
) -> Generator[Result]:
    """Apply a function to items, several at a time and each on one thread.

    Items are drawn as they are needed, `ahead` of them beyond the one whose result is drawn.

    Yields:
        The results in the order of the items.
    """
    with one_thread_each():
        yield from map_ahead(function, items, threads=at_once, ahead=ahead)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let NumPy and, if it is imported, torch compute on one thread, in any thread."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch:
        torch.set_num_threads(1)
    try:
        with _libraries(torch is not None).limit(limits=1):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)


@cache
def _libraries(with_torch: bool) -> ThreadpoolController:
    """Find the libraries that compute: 4 ms, a tenth of what a photo costs."""
    return ThreadpoolController()


def count_cores() -> int:
    """Count the cores of this machine."""
    return os.cpu_count() or 1
