"""Requests that arrive together are computed together, on a thread of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(eq=False)
class _Waiting(Generic[T, R]):
    kind: Hashable
    task: T
    result: asyncio.Future[R] = field(default_factory=asyncio.Future)


class Batcher(Generic[T, R]):
    """Collects tasks of one kind into batches; one batch is computed at a time.

    While one is computed, the next gathers; when none is, the first task waits a moment for
    others. Tasks are taken in the order in which they came, the first decides on the kind.

    Args:
        compute: Gives a result or an error for each task of a batch, on the batches' thread.
        size: Tasks of a batch, at most.
        wait_seconds: That the first task of a batch waits for others.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[T]], Sequence[R | Exception]],
        *,
        size: int,
        wait_seconds: float,
    ) -> None:
        """Start the thread."""
        self.compute, self.size, self.wait_seconds = compute, size, wait_seconds
        self.waiting: list[_Waiting[T, R]] = []
        self.arrived = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.loop = asyncio.create_task(self._run())

    async def submit(self, task: T, kind: Hashable) -> R:
        """Compute a task with others of its kind.

        Args:
            task: What `compute` takes.
            kind: What tasks of a batch have in common.
        """
        waiting: _Waiting[T, R] = _Waiting(kind, task)
        self.waiting.append(waiting)
        self.arrived.set()
        return await waiting.result

    async def stop(self) -> None:
        """Stop when nothing is waiting any more."""
        self.loop.cancel()
        self.thread.shutdown()

    async def _run(self) -> None:
        while True:
            await self.arrived.wait()
            if len(self.waiting) < self.size:
                await asyncio.sleep(self.wait_seconds)
            batch = [one for one in self.waiting if one.kind == self.waiting[0].kind][: self.size]
            self.waiting = [one for one in self.waiting if one not in batch]
            if not self.waiting:
                self.arrived.clear()
            await self._compute(batch)

    async def _compute(self, batch: Sequence[_Waiting[T, R]]) -> None:
        loop = asyncio.get_running_loop()
        tasks = [one.task for one in batch]
        results: Sequence[R | Exception]
        try:
            results = await loop.run_in_executor(self.thread, self.compute, tasks)
        except Exception as error:  # of the code: each request says that the service failed
            results = [error] * len(batch)
        for one, result in zip(batch, results, strict=True):
            if one.result.done():  # its client has gone
                continue
            if isinstance(result, Exception):
                one.result.set_exception(result)
            else:
                one.result.set_result(result)
