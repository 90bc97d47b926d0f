"""Work on many items gives their results in order, here as over a cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec

import pytest

from tests.support.repositories import ROOT, require
from vpr.runtime.ordered_map import map_ahead, ordered_map


def make_adder(number: int) -> Callable[[Iterable[int]], Iterator[int]]:
    return lambda items: (item + number for item in items)


def test_without_an_address_items_are_worked_on_here_as_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VPR_RAY_ADDRESS", raising=False)
    items = iter(range(5))
    results = ordered_map(make_adder, (10,), items, pack=str)
    assert next(results) == 10
    assert next(items) == 1
    assert list(results) == [12, 13, 14]


def test_threads_work_ahead_by_few_items_and_keep_the_order() -> None:
    begun = []

    def slow(item: int) -> int:
        begun.append(item)
        time.sleep(0.02 * (3 - item % 3))
        return item * item

    results = map_ahead(slow, iter(range(9)), threads=3, ahead=2)
    assert next(results) == 0
    assert len(begun) <= 4
    assert list(results) == [1, 4, 9, 16, 25, 36, 49, 64]


def test_without_an_address_ray_is_not_imported() -> None:
    modules = ("stages.trunk", "stages.keypoints", "stages.inliers")
    code = f"import sys, {', '.join(modules)}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of one that accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_wrong_address_is_one_message_in_time(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    require(find_spec("ray"), "ray (requirements-ray.txt)")
    from vpr.cluster import ray_cluster

    assert ray_cluster.SECONDS_TO_ANSWER < 10
    monkeypatch.setattr(ray_cluster, "SECONDS_TO_ANSWER", 2.0)
    for address in ("somewhere", "127.0.0.1:1", "no-such-host.invalid:6379", silent):
        monkeypatch.setenv("VPR_RAY_ADDRESS", address)
        start = time.monotonic()
        with pytest.raises(OSError, match=f"^VPR_RAY_ADDRESS = {address}: expected host:port"):
            list(ordered_map(make_adder, (1,), [1]))
        assert time.monotonic() - start < 10
