"""HTTP that does not wait for ever for a sender."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class ImpatientProtocol(H11Protocol):
    """Closes a connection whose request does not begin, or whose refused body does not end.

    uvicorn waits for both without an end. While a body is read, `photos.bodies` has the clock.
    """

    seconds: float
    late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Look whether this completes what was waited for."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the rest of the body, or for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop_watch()

    def _watch(self) -> None:
        answered = self.cycle is not None and self.cycle.response_complete
        is_open = not self.transport.is_closing()
        if is_open and (self.conn.their_state is h11.IDLE or answered):
            self.late = self.late or self.loop.call_later(self.seconds, self.transport.abort)
        else:
            self._stop_watch()

    def _stop_watch(self) -> None:
        if self.late is not None:
            self.late.cancel()
            self.late = None


def impatient_protocol(seconds: float) -> type[ImpatientProtocol]:
    """Make the protocol that waits so long.

    Args:
        seconds: In which a request must begin, or the rest of a refused body arrive.
    """
    return type("Protocol", (ImpatientProtocol,), {"seconds": seconds})
