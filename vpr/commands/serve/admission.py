"""Limits of the service, for one client and for all together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

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
        queue: Requests that are decoded or waiting at once; further ones are refused.
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

    def response(self) -> JSONResponse:
        """Make the response `{"error": sentence}`, with Retry-After if the client may ask again."""
        headers = {"Retry-After": str(RETRY_AFTER)} if self.status in BUSY else {}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"error": self.sentence}, self.status, headers)


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

    Slow senders must not block others. So a body that finds no free place takes that of the
    slowest one, of its own address if that has half of the places.

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
        crowd = find_crowd(self.receiving, address, self.limits.bodies)
        late = [body for body in crowd if now - body.since > PATIENCE_SECONDS]
        if not late:
            if crowd:
                raise _busy(f"{len(crowd)} photos are being received")
            return
        slowest = min(late, key=lambda body: body.num_bytes / (now - body.since))
        self.receiving.discard(slowest)
        slowest.clock.reschedule(now)


class Held(Protocol):
    """Something that takes a place for a client."""

    address: str


H = TypeVar("H", bound=Held)


def find_crowd(held: Collection[H], address: str, most: int) -> list[H]:
    """Find the holders of which one must leave before an address gets another place.

    Args:
        held: All holders of places.
        address: Address of the client that asks.
        most: Number of places.

    Returns:
        Those of that address if it has half of the places; all if no place is free; else none.
    """
    own = [one for one in held if one.address == address]
    if len(own) >= most // 2:
        return own
    return list(held) if len(held) >= most else []


class Slots:
    """Slots that clients take and give back.

    Args:
        most: Number of slots.
        most_each: Number of slots that one address may have.
        words: What the holders do, for messages, such as `requests are waiting`.
    """

    def __init__(self, most: int, most_each: int, words: str) -> None:
        """All are free."""
        self.most, self.most_each, self.words = most, most_each, words
        self.taken: Counter[str] = Counter()  # by address

    def require_one(self, address: str) -> None:
        """Check that an address would get a slot now.

        Raises:
            Refusal: If it would not.
        """
        if self.taken.total() >= self.most or self.taken[address] >= self.most_each:
            raise _busy(f"{self.taken.total()} {self.words}")

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        """Take a slot.

        Raises:
            Refusal: If there is none.
        """
        self.require_one(address)
        self.taken[address] += 1
        try:
            yield
        finally:
            self.taken[address] -= 1
            self.taken += Counter()  # forgets those that have none


def address_of(asked: HTTPConnection) -> str:
    """Address of the client."""
    return asked.client.host if asked.client else ""


def _busy(words: str) -> Refusal:
    return Refusal(503, f"{words}: ask again later.")
