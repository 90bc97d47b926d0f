"""What one client, and all together, may take of the service."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.responses import Response

RETRY_AFTER = 1  # second, in which a full queue has been worked off
BUSY = (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
PATIENCE_SECONDS = 0.25  # of a body until it may give its place to another


@dataclass(frozen=True)
class Limits:
    """Bounds that hold before a photo is decoded.

    Args:
        num_bytes: Size of a request's body, in bytes.
        num_pixels: Pixels of a photo.
        num_photos: Photos of a sequence.
        seconds: For the head of a request to arrive, for its body, and for a photo to be decoded.
        bodies: Bodies that are received at once; half of them from one address.
        queue: Requests that are decoded or waiting at once; further ones are sent away.
    """

    num_bytes: int
    num_pixels: int
    num_photos: int
    seconds: float
    bodies: int
    queue: int


class Refusal(Exception):
    """A request that is refused, in one sentence.

    Args:
        status: HTTP status.
        sentence: Message: what was expected, what was found, what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        """Keep what is said."""
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    def response(self) -> Response:
        """Write it as `{"error": sentence}`; of those that may ask again it says when."""
        headers = {"Retry-After": str(RETRY_AFTER)} if self.status in BUSY else {}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(
            json.dumps({"error": self.sentence}, ensure_ascii=False), self.status, headers,
            media_type="application/json",
        )  # fmt: skip


@dataclass(eq=False)
class Body:
    """A body that is being received.

    Args:
        address: The sender's address.
        clock: Ends the reception.
        since: When it began, by the event loop's clock.
        num_bytes: Bytes that have arrived.
    """

    address: str
    clock: asyncio.Timeout
    since: float
    num_bytes: int = 0


class Bodies:
    """Places for bodies that are being received.

    Those who send slowly must not keep others out. So a body that finds no free place takes that
    of the slowest one, of its own address if that has its half.

    Args:
        limits: How many there are, and how long a body may take.
    """

    def __init__(self, limits: Limits) -> None:
        """All are free."""
        self.limits = limits
        self.receiving: set[Body] = set()

    @asynccontextmanager
    async def receive(self, address: str) -> AsyncIterator[Body]:
        """Give a body its place until it has arrived; whoever reads it counts its bytes.

        Raises:
            Refusal: If there is no place, or the body takes too long.
        """
        now = asyncio.get_running_loop().time()
        self._make_room(address, now)
        try:
            async with asyncio.timeout(self.limits.seconds) as clock:
                body = Body(address, clock, now)
                self.receiving.add(body)
                try:
                    yield body
                finally:
                    self.receiving.discard(body)
        except TimeoutError:
            words = f"the body took more than {self.limits.seconds:g} seconds"
            raise Refusal(408, f"{words}, or was the slowest of too many.") from None

    def _make_room(self, address: str, now: float) -> None:
        crowd = {body for body in self.receiving if body.address == address}
        if len(crowd) < max(1, self.limits.bodies // 2):
            if len(self.receiving) < self.limits.bodies:
                return
            crowd = self.receiving
        late = [body for body in crowd if now - body.since > PATIENCE_SECONDS]
        if not late:
            raise _busy(f"{len(crowd)} photos are being received")
        slowest = min(late, key=lambda body: body.num_bytes / (now - body.since))
        self.receiving.discard(slowest)
        slowest.clock.reschedule(now)


class Queue:
    """Requests whose bodies have arrived, until they are answered.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        """It is empty."""
        self.limits, self.waiting = limits, 0

    def require_room(self) -> None:
        """Check that a request would find a place now; it is asked before its body is read.

        Raises:
            Refusal: If as many are waiting as may be.
        """
        if self.waiting >= self.limits.queue:
            raise _busy(f"{self.waiting} requests are waiting")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Give a request its place.

        Raises:
            Refusal: If as many are waiting as may be.
        """
        self.require_room()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class Sockets:
    """Websockets that are open, as many as bodies are received, half of them from one address.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        """None is open."""
        self.limits = limits
        self.open: Counter[str] = Counter()  # by address

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Give a websocket its place.

        Raises:
            Refusal: If as many are open as may be.
        """
        most = self.limits.bodies
        if self.open[address] >= max(1, most // 2) or self.open.total() >= most:
            raise _busy(f"{self.open.total()} websockets are open")
        self.open[address] += 1
        try:
            yield
        finally:
            self.open[address] -= 1
            self.open += Counter()  # forgets those that have none


def address_of(asked: HTTPConnection) -> str:
    """Address of the client."""
    return asked.client.host if asked.client else ""


def _busy(words: str) -> Refusal:
    return Refusal(503, f"{words}: ask again later.")
