"""Ray as the engine of `ordered_map`: a task for each item, results in order.

Plain tasks instead of actors, which hang until a lost node returns. A task that a lost node or a
killed process takes with it runs again elsewhere. The code of `vpr` travels with the tasks, and
items bring their files' content, so that nodes need the same packages, but neither a checkout nor a
shared disk: docs/ray.md.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from threadpoolctl import threadpool_limits

from vpr.runtime.device import describe_machine, find_device
from vpr.runtime.environment import ENV_FILE
from vpr.runtime.ordered_map import MIXED, is_over_mixed_cluster
from vpr.runtime.parameters import read_yaml

TASKS_PER_SLOT = 2  # running, or done and not yet drawn: this bounds memory
SECONDS_TO_ANSWER = 9.0
SECONDS_BETWEEN_LOOKS = 20.0  # for whether any node is left

IMPATIENT = {"RAY_NUM_REDIS_GET_RETRIES": "3"}  # seconds, if the token is wrong
PROBE = """
import sys, ray
ray.init(sys.argv[1], logging_level="ERROR", log_to_driver=False)
"""


def map_over_cluster(
    address: str,
    make: Callable[..., Callable[[Iterable[Any]], Iterator[Any]]],
    shared: tuple[Any, ...],
    items: Iterable[Any],
    *,
    threads: int,
    num_gpus: int,
) -> Iterator[Any]:
    """Do the work of `ordered_map` in tasks.

    `make`, `shared` and `items` are those of `ordered_map`, with self-contained items. `address` is
    host and port of the cluster's head; `threads` and `num_gpus` are for each task.

    Yields:
        One result for each item, in order.

    Raises:
        ValueError: If a node differs from this machine.
        OSError: If there is no cluster at the address, or its last node is lost.
    """
    _connect(address)
    cpus, slots = _share_out(_nodes(), threads, num_gpus)
    packages, device = list(read_yaml(ENV_FILE)), torch.device("cuda" if num_gpus else "cpu")
    expected = None if is_over_mixed_cluster() else describe_machine(packages, device)
    # In a list a worker fetches it once, not for each task.
    work = [ray.put((make, shared, threads, packages, device, expected))]
    task = _work_on.options(max_retries=-1, num_cpus=cpus, num_gpus=num_gpus)
    needed = {"CPU": cpus, "GPU": float(num_gpus)}
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(task.remote(work, item))
        if len(waiting) >= TASKS_PER_SLOT * slots:
            yield _result(waiting.popleft(), needed)
    while waiting:
        yield _result(waiting.popleft(), needed)


@ray.remote
def _work_on(work: list[Any], item: Any) -> Any:  # noqa: ANN401 - of any work
    (result,) = _begin(work[0])([item])
    return result


@lru_cache(maxsize=1)
def _begin(work: Any) -> Callable[[Iterable[Any]], Iterator[Any]]:  # noqa: ANN401 - has no type
    """Prepare a worker's process for the tasks of one map: check it, pin threads, make the step."""
    make, shared, threads, packages, device, expected = ray.get(work)
    find_device()  # for its settings
    torch.set_num_threads(threads)
    if expected is not None:
        _check_machine(expected, describe_machine(packages, device))
    step: Callable[[Iterable[Any]], Iterator[Any]] = make(*shared)
    threadpool_limits(threads)  # of all libraries loaded so far
    return step


def _check_machine(expected: dict[str, str], found: dict[str, str]) -> None:
    differences = [
        f"{name} is {found.get(name, 'missing')} (expected {expected.get(name, 'none')})"
        for name in sorted(expected.keys() | found.keys())
        if found.get(name) != expected.get(name)
    ]
    if differences:
        node = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        raise ValueError(
            f"Ray node {node} ({socket.gethostname()}): "
            f"{', '.join(differences)}: it would compute different bits than this machine. Use "
            f"nodes that are like it, or allow different bits by {MIXED}=1"
        )


def _share_out(nodes: list[dict[str, Any]], threads: int, num_gpus: int) -> tuple[float, int]:
    """Find how many CPUs a task asks for, and how many tasks run at once.

    Raises:
        ValueError: If a node has fewer CPUs than a task has threads, or no node computes.
    """
    able = [node for node in nodes if _can_take(node, {"GPU": num_gpus})]
    if not able:
        raise ValueError(f"the Ray cluster has no node with a {'GPU' if num_gpus else 'CPU'}")
    has = [node["Resources"] for node in able]
    small = [
        f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']}) has {of['CPU']:g}"
        for node, of in zip(able, has, strict=True)
        if of["CPU"] < threads
    ]
    if small and not is_over_mixed_cluster():
        raise ValueError(
            f"a task computes on {threads} threads, as this process does, and needs as many CPUs: "
            f"Ray node {', '.join(small)}. Set OMP_NUM_THREADS to what every node "
            f"has, or {MIXED}=1"
        )
    cpus: float = min(threads, *(one["CPU"] for one in has))
    by_gpu = (one["GPU"] // num_gpus if num_gpus else math.inf for one in has)
    slots = sum(int(min(one["CPU"] // cpus, most)) for one, most in zip(has, by_gpu, strict=True))
    names = ", ".join(node["NodeManagerAddress"] for node in able)
    print(f"Ray: up to {slots} tasks at once on nodes {names}", file=sys.stderr)
    return cpus, slots


def _nodes() -> list[dict[str, Any]]:
    return list(ray.nodes())  # type: ignore[no-untyped-call] # of a library without types


def _can_take(node: dict[str, Any], needed: Mapping[str, float]) -> bool:
    """Return whether a node is alive, runs tasks, and has the CPUs and GPUs needed."""
    has = node["Resources"]
    computes = bool(node["Alive"]) and has.get("CPU", 0) > 0
    return computes and all(has.get(name, 0) >= count for name, count in needed.items())


def _result(task: Any, needed: dict[str, float]) -> Any:  # noqa: ANN401 - of any work
    while True:
        try:
            return ray.get(task, timeout=SECONDS_BETWEEN_LOOKS)
        except GetTimeoutError:
            if not any(_can_take(node, needed) for node in _nodes()):
                raise OSError("the Ray cluster has lost its last node that computes") from None
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            raise OSError(f"Ray: {error}") from None


@cache
def _connect(address: str) -> None:
    _check_answers(address)
    code = {"py_modules": [str(Path(__file__).parents[1])]}
    ray.init(address, runtime_env=code, logging_level=logging.ERROR, log_to_driver=False)


def _check_answers(address: str) -> None:
    """Try to connect in a separate process, since Ray takes minutes to give up on an address.

    Raises:
        OSError: If there is no answer in time, or it is a refusal.
    """
    match = re.fullmatch(r"\[?([^/\s]+?)\]?:(\d+)", address)
    expected = "expected host:port of a Ray cluster's head that answers"
    if match is None:
        raise OSError(f"VPR_RAY_ADDRESS = {address}: {expected}")
    try:
        socket.create_connection((match[1], int(match[2])), timeout=SECONDS_TO_ANSWER / 2).close()
        subprocess.run(
            [sys.executable, "-c", PROBE, address], env={**os.environ, **IMPATIENT},
            check=True, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        is_token = "InvalidAuthToken" in error.stderr
        last_line = error.stderr.strip().rpartition("\n")[2]
        answer = "its token differs, or none is set" if is_token else last_line
    except subprocess.TimeoutExpired:
        answer = f"none within {SECONDS_TO_ANSWER:g} s"
    except OSError as error:
        answer = str(error)
    else:
        return
    raise OSError(f"VPR_RAY_ADDRESS = {address}: {expected}, found: {answer}: see docs/ray.md")
