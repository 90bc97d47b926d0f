"""The service between HTTP and the network: decoding, ranking, and another run."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from vpr.commands.locate.outputs import as_plain
from vpr.commands.serve.admission import Bodies, Limits, Refusal, Slots, address_of
from vpr.commands.serve.answers import TrackAnswer, complete, threshold_of
from vpr.commands.serve.photos import NUM_DECODERS, Decoders, read_uploads
from vpr.commands.serve.run import ServedRun, load_served_run
from vpr.commands.serve.sessions import Sessions
from vpr.images.image_files import EncodedImage

LOG = logging.getLogger("uvicorn.error")
R = TypeVar("R")


class Service:
    """Answers requests from one run after another.

    Args:
        run: The first run.
        limits: Limits of each request, and of all together.
    """

    def __init__(self, run: ServedRun, limits: Limits) -> None:
        """Start the decoders; an event loop must be running."""
        self.run, self.limits = run, limits
        self.bodies = Bodies(limits)
        self.queue = Slots(limits.queue, limits.queue, "requests are waiting")
        self.sockets = Slots(limits.bodies, limits.bodies // 2, "websockets are open")
        self.decoders = Decoders(limits)
        self.sessions = Sessions()
        # Decoded photos are large: one for each decoder, one that is ranked, one that waits.
        self.decoded = asyncio.Semaphore(NUM_DECODERS + 2)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self.taking_over = asyncio.Lock()

    def stop(self) -> None:
        """Stop them, after the last request was answered."""
        self.thread.shutdown()
        self.decoders.stop()

    @asynccontextmanager
    async def receive(self, request: Request, *, most: int) -> AsyncIterator[list[EncodedImage]]:
        """Receive the photos of a request, and hold its slot until it is answered.

        Args:
            request: The request, of which nothing was read.
            most: Maximum number of photos.

        Raises:
            Refusal: If no slot is free, or the body cannot be read.
        """
        address = address_of(request)
        self.queue.require_one(address)
        async with self.bodies.receive(address) as body:
            uploads = await read_uploads(request, body, self.limits, most=most)
        with self.queue.take(address):
            yield uploads

    async def take_over(self) -> None:
        """Load the run that dvc.lock records now, and answer from it once it is loaded."""
        async with self.taking_over:
            start = time.monotonic()
            try:
                self.run = await asyncio.to_thread(load_served_run, self.run)
                seconds = time.monotonic() - start
                LOG.info("Answering from the run that was loaded now, in %.2f s", seconds)
            except Exception as error:  # of whatever kind: the service goes on
                LOG.error("Answering from the run as before: %s", error)

    async def locate(
        self, uploads: Sequence[EncodedImage], *, top: int, length: int | None, pairs: bool
    ) -> dict[str, Any]:
        """Answer as `locate --json` does.

        Args:
            uploads: The photos.
            top: Matches of each.
            length: Photos on a line, 1: each alone; None: as the run orders its queries.
            pairs: Whether matches list the points that verify them.

        Raises:
            Refusal: If a photo cannot be read, or more matches are wanted than there are.
        """
        run, start = self.run, time.monotonic()
        if top > run.num_places:
            raise Refusal(422, f"top = {top}: the database has only {run.num_places} images.")
        is_followed = length is None and run.sequence.method != "lines"
        length = length or run.sequence.length
        names = [upload.path for upload in uploads]
        seconds: list[float] = []  # of decoding
        if is_followed or length == 1:
            rank = partial(run.rank, top=top)
            ranked = [await self._of(photo, seconds, rank) for photo in uploads]
        else:
            rows = [await self._of(photo, seconds, run.describe) for photo in uploads]
            ranked = await self._compute(run.rank_in_order, np.concatenate(rows), top, length)
        if is_followed:
            found = await self._compute(run.follow_in_order, names, ranked, top)
        else:
            found = run.locate(names, ranked, top=top, alone=length == 1)
        located = as_plain(found)
        decoding = sum(seconds)
        timings = {"decoding": decoding, "waiting_and_ranking": time.monotonic() - start - decoding}
        return {
            "run": run.version.run,
            "located": [
                complete(photo, of, pairs=pairs) for photo, of in zip(located, ranked, strict=True)
            ],
            "threshold": asdict(threshold_of(run)),
            "timings_ms": {name: round(1000 * of, 1) for name, of in timings.items()},
        }

    async def _of(
        self, upload: EncodedImage, seconds: list[float], compute: Callable[[EncodedImage], R]
    ) -> R:
        """Decode a photo and pass it to `compute`; `seconds` gets the time of decoding."""
        async with self.decoded:
            start = time.monotonic()
            decoded = await self.decoders.decode(upload)
            seconds.append(time.monotonic() - start)
            try:
                return await self._compute(compute, decoded)
            except ValueError as error:  # too small for the network, or beyond its range
                raise Refusal(422, f"{' '.join(str(error).split())}.") from None

    async def _compute(self, function: Callable[..., R], *args: Any) -> R:  # noqa: ANN401 - of any function
        return await asyncio.get_running_loop().run_in_executor(self.thread, function, *args)

    async def track(
        self, upload: EncodedImage, session: str | None, address: str, moved_m: float | None
    ) -> TrackAnswer:
        """Follow a drive to its next photo; if that cannot be read, the drive stays where it was.

        Args:
            upload: The photo.
            session: Name of the drive; None: it begins.
            address: Address of the client.
            moved_m: Metres since the photo before; None: unknown.

        Raises:
            Refusal: If the photo cannot be read, or the drive cannot be followed.
        """
        run, metres = self.run, math.nan if moved_m is None else moved_m
        with self.sessions.open(session, address, run.since) as drive:
            follow = partial(run.follow, before=drive.before, moved_m=metres)
            drive.before = await self._of(upload, [], follow)
            drive.number += 1
            tracked = run.tracker.describe(drive.before[0], str(upload))
            return TrackAnswer(drive.name, drive.number, tracked)


async def _service_of(asked: HTTPConnection) -> Service:
    service: Service = asked.app.state.service
    return service


Answering = Annotated[Service, Depends(_service_of)]  # the service that answers a request
