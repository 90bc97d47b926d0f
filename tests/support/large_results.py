"""Draws results that are larger than the cluster's memory, slowly, and prints what it costs here.

python -m tests.support.large_results NUM_RESULTS THREADS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import psutil
from numpy.typing import NDArray

from vpr.runtime.ordered_map import ordered_map

VALUES = 10_000_000  # bytes of a result


def make(offset: int) -> Callable[[Iterable[int]], Iterator[NDArray[np.uint8]]]:
    """Make a function that gives arrays of one number."""

    def fill(items: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        for item in items:
            yield np.full(VALUES, (item + offset) % 256, dtype=np.uint8)

    return fill


if __name__ == "__main__":
    used = []
    count, threads = map(int, sys.argv[1:])
    results = ordered_map(make, (3,), range(count), threads=threads)
    for number, result in enumerate(results):
        assert result.shape == (VALUES,) and (result == (number + 3) % 256).all()
        used.append(psutil.Process().memory_full_info().uss)  # without the store's pages
        del result
        time.sleep(0.05)
    print(f"{len(used)} results, growth {(max(used) - used[0]) / 1e6:.1f} MB")
