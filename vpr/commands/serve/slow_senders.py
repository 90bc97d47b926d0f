"""HTTP and websockets that do not wait for ever for a sender."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

LOG = logging.getLogger("vpr.websockets")  # of which only warnings are shown
CONNECTIONS = 2048  # open at once, at most; half of them from one address


class Impatient:
    """A connection that is closed when what it waits for takes too long."""

    seconds: float
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    late: asyncio.TimerHandle | None = None

    def wait(self, is_waiting: bool) -> None:
        """Start the clock, or let it run, while the connection waits; else stop it."""
        if is_waiting and not self.transport.is_closing():
            self.late = self.late or self.loop.call_later(self.seconds, self.transport.abort)
        elif self.late is not None:
            self.late.cancel()
            self.late = None


class ImpatientProtocol(Impatient, H11Protocol):
    """Closes a connection whose request does not begin, or whose refused body does not end.

    By hand, since uvicorn waits for both without an end, and counts connections but not whose they
    are. While a body is read, `admission.Bodies` has the clock.
    """

    addresses: Counter[str]  # of all connections that are open
    address: str

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.addresses[self.address] += 1
        if self.addresses[self.address] > CONNECTIONS // 2:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Look whether this completes what was waited for."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the rest of the body, or for the next request."""
        super().on_response_complete()
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over; `admission.Sockets` counts those that stay."""
        super().handle_websocket_upgrade(event)
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._forget()

    def _forget(self) -> None:
        self.addresses[self.address] -= 1
        self.addresses += Counter()  # forgets those that have none
        self.wait(False)

    def _watch(self) -> None:
        answered = self.cycle is not None and self.cycle.response_complete
        self.wait(self.conn.their_state is h11.IDLE or answered)


class ImpatientSocket(Impatient, WSProtocol):
    """Closes a websocket of which a message does not end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Say nothing of who asks: uvicorn's log would name addresses and sessions."""
        super().connection_made(transport)
        self.logger = LOG

    def data_received(self, data: bytes) -> None:
        """Look whether a message has begun, or this ends it."""
        super().data_received(data)
        self.wait(self.buffer.value is not None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self.wait(False)


def impatient_protocols(seconds: float) -> tuple[type[ImpatientProtocol], type[ImpatientSocket]]:
    """Make the protocols that wait so long, and let this process open so many connections.

    Args:
        seconds: Time for a request to begin, for the rest of a refused body to arrive, or for a
            message of a websocket.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counted = {"seconds": seconds, "addresses": Counter()}
    return (
        type("Protocol", (ImpatientProtocol,), counted),
        type("Socket", (ImpatientSocket,), {"seconds": seconds}),
    )
