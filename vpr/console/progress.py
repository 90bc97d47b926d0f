"""Progress of long steps: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 15.0


def track(items: Iterable[T], *, total: int, title: str) -> Iterator[T]:
    """Pass items on, and show how many are done and how long the rest will take.

    Yields:
        The items.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=title, unit="", dynamic_ncols=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - last >= SECONDS_BETWEEN_LINES:
            left = (now - start) / done * (total - done)
            print(f"{title}: {done}/{total}, about {left:.0f} s left", file=sys.stderr, flush=True)
            last = now
        yield item
    print(f"{title}: {total}/{total} in {time.monotonic() - start:.1f} s", file=sys.stderr)
