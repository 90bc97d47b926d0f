"""The service between HTTP and the network: admission, decoding, batches, and another run."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from vpr.commands.locate.outputs import as_json
from vpr.commands.serve.batching import Batcher
from vpr.commands.serve.limits import Limits
from vpr.commands.serve.loading import load_run
from vpr.commands.serve.photos.bodies import Upload
from vpr.commands.serve.photos.decoding import Decoders, Picture
from vpr.commands.serve.refusals import Refusal
from vpr.commands.serve.run import Run
from vpr.commands.serve.together import Task, Together
from vpr.locating.ranking import Ranked

LOG = logging.getLogger("uvicorn.error")
RETRY_AFTER = 1  # second, in which a full queue has been worked off
DECODED_BATCHES = 2  # batches of photos that lie decoded in memory, at most


class Service:
    """Answers requests from one run after another.

    Args:
        run: The first.
        limits: Of each request, and of all.
    """

    def __init__(self, run: Run, limits: Limits) -> None:
        """Start decoders and batches; an event loop must be running."""
        self.run, self.limits = run, limits
        self.admitted = 0
        self.decoders = Decoders(limits)
        self.decoded = asyncio.Semaphore(max(DECODED_BATCHES * limits.batch, limits.num_photos))
        self.taking_over, self.taking_room = asyncio.Lock(), asyncio.Lock()
        self.batcher: Batcher[Task, list[Ranked]] = Batcher(
            Together().rank, size=limits.batch, wait_seconds=limits.wait_seconds
        )

    async def stop(self) -> None:
        """Stop both; no request is left by now."""
        await self.batcher.stop()
        self.decoders.stop()

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Admit a request before anything of it is read.

        Raises:
            Refusal: If as many are admitted as may be.
        """
        if self.admitted >= self.limits.queue:
            raise Refusal(
                503, f"{self.admitted} requests are waiting: ask again later.",
                retry_after=RETRY_AFTER,
            )  # fmt: skip
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    async def take_over(self) -> None:
        """Load the run that dvc.lock records by now, and answer from it once it is there."""
        async with self.taking_over:
            try:
                self.run = await asyncio.to_thread(load_run)
                LOG.info("Answering from the run that was loaded now")
            except Exception as error:  # of whatever kind: the service goes on
                LOG.error("Answering from the run as before: %s", error)

    async def locate(
        self, uploads: Sequence[Upload], *, top: int, length: int | None
    ) -> dict[str, Any]:
        """Answer as `locate --json` does.

        Args:
            uploads: The photos.
            top: Matches of each.
            length: Photos on a line; None: a single photo.

        Raises:
            Refusal: If a photo is none, or more matches are wanted than there are.
        """
        run, start = self.run, time.monotonic()
        if top > run.num_places:
            raise Refusal(422, f"top = {top}: the database has only {run.num_places} images.")
        async with self._decoded(uploads) as pictures:
            decoded = time.monotonic()
            task = Task(
                run, [picture.file.path for picture in pictures],
                [upload.name for upload in uploads],
                pictures[0].size_px if length is None else None, top, length or 1,
            )  # fmt: skip
            ranked = await self.batcher.submit(task, task.kind)
        timings = {"decoding": decoded - start, "waiting_and_ranking": time.monotonic() - decoded}
        located = json.loads(as_json(run.locate(task.names, ranked)))
        if task.length > 1 and run.places.threshold.by == "inliers":
            for one in located:  # lines are not verified: there are no inliers to judge by
                one["accepted"] = None
        return {
            "located": located,
            "threshold": asdict(run.places.threshold),
            "timings_ms": {name: round(1000 * of, 1) for name, of in timings.items()},
        }

    @asynccontextmanager
    async def _decoded(self, uploads: Sequence[Upload]) -> AsyncIterator[list[Picture]]:
        pictures: list[Picture] = []
        taken = 0
        try:
            async with self.taking_room:  # in turn: two that each have half would wait for ever
                for _ in uploads:
                    await self.decoded.acquire()
                    taken += 1
            for upload in uploads:
                pictures.append(await self.decoders.decode(upload.content, upload.name))
            yield pictures
        finally:
            for picture in pictures:
                picture.file.close()
            for _ in range(taken):
                self.decoded.release()
