"""Ordered work on many items, in this process or over a Ray cluster."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ADDRESS = "VPR_RAY_ADDRESS"  # not a parameter: results do not depend on it
MIXED = "VPR_RAY_MIXED"  # 1: machines of the cluster may compute other bits


def ordered_map(
    make: Callable[..., Callable[[Iterable[Item]], Iterator[Result]]],
    shared: tuple[Any, ...],
    items: Iterable[Item],
    *,
    pack: Callable[[Any], Any] | None = None,
    threads: int | None = None,
    uses_gpu: bool = False,
) -> Iterator[Result]:
    """Process items, and yield the results in their order.

    Without `VPR_RAY_ADDRESS` this is `make(*shared)(items)`. With it each item is a task of the Ray
    cluster there, see `vpr.cluster.ray_cluster`, with the same results to the bit: each worker
    calls `make(*shared)` once, and what it returns once per item.

    Args:
        make: Function of a module of `vpr`. It returns a function that processes items one after
            the other and yields one result for each, independent of the other items.
        shared: Arguments of `make`, sent to the cluster once.
        items: Items, drawn as they are needed.
        pack: Makes an item self-contained, so that it can be sent to another machine; None: items
            already are.
        threads: Threads for each item; None: as many as torch uses here, if it is imported.
        uses_gpu: Whether items are computed on a GPU.

    Yields:
        One result for each item.

    Raises:
        ValueError: If a machine of the cluster would give other bits; the message names it.
        OSError: If there is no cluster at the address.
    """
    if not is_over_cluster():
        yield from make(*shared)(items)
        return
    # Imported by name: it imports torch, which results of a stage like search do not depend on.
    map_over_cluster = import_module("vpr.cluster.ray_cluster").map_over_cluster
    packed: Iterable[Item] = items if pack is None else map(pack, items)
    count = _count_threads() if threads is None else threads
    yield from map_over_cluster(
        os.environ[ADDRESS], make, shared, packed, threads=count, num_gpus=int(uses_gpu)
    )


def is_over_cluster() -> bool:
    """Return whether `ordered_map` uses a cluster."""
    return bool(os.environ.get(ADDRESS))


def is_over_mixed_cluster() -> bool:
    """Return whether results may have other bits than those of this machine."""
    return is_over_cluster() and os.environ.get(MIXED) == "1"


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Apply a function on threads, to `ahead` items beyond the one whose result is drawn.

    Yields:
        The results in the order of the items.
    """
    upcoming = iter(items)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        waiting += [pool.submit(function, item) for item in islice(upcoming, ahead + 1)]
        while waiting:
            yield waiting.popleft().result()
            waiting += [pool.submit(function, item) for item in islice(upcoming, 1)]


def _count_threads() -> int:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else 1
