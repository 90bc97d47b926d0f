"""Drives over a websocket: each binary message a photo, answered before the next is read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from vpr.commands.serve.admission import RETRY_AFTER, Limits, Refusal
from vpr.commands.serve.photos import UNNAMED, Upload
from vpr.commands.serve.track import IDLE_SECONDS, MOST_METRES, Session

if TYPE_CHECKING:
    from vpr.commands.serve.service import Service  # which imports `track`

NUMBER_LETTERS = 32  # of a text message
GOING_AWAY = 1001  # close code of RFC 6455


def add_live_tracking(answers: APIRouter, limits: Limits) -> None:
    """Add the websocket; as many may be open as bodies are received, half from one address."""
    sockets: Counter[str] = Counter()  # open, by address

    @answers.websocket("/track")
    async def follow(websocket: WebSocket, session: Session = None) -> None:
        address = websocket.client.host if websocket.client else ""
        with _place(sockets, address, limits.bodies):
            await websocket.accept()
            with suppress(WebSocketDisconnect):  # while its last photo was looked at
                await _follow(websocket, session, address)


@contextmanager
def _place(sockets: Counter[str], address: str, most: int) -> Iterator[None]:
    if sockets[address] >= max(1, most // 2) or sockets.total() >= most:
        words = f"{sockets.total()} websockets are open: ask again later."
        raise Refusal(503, words, retry_after=RETRY_AFTER)
    sockets[address] += 1
    try:
        yield
    finally:
        sockets[address] -= 1
        sockets += Counter()  # forgets those that have none


async def _follow(websocket: WebSocket, session: str | None, address: str) -> None:
    """Answer photos until the client leaves; one that is refused leaves the drive where it was."""
    service: Service = websocket.app.state.service
    moved_m: float | None = None
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await websocket.receive()
        except TimeoutError:
            await websocket.close(GOING_AWAY, f"{IDLE_SECONDS:g} seconds without a photo")
            return
        if message["type"] == "websocket.disconnect":
            return
        try:
            if message.get("bytes") is None:
                moved_m = parse_metres(message["text"])
                continue
            if not message["bytes"]:
                raise Refusal(400, "the message holds no photo.")
            async with service.queue.place():
                photo = Upload(UNNAMED, message["bytes"])
                answer = await service.track(photo, session, address, moved_m)
            session, moved_m = answer.session, None
            await websocket.send_json(asdict(answer))
        except Refusal as refusal:
            await websocket.send_json({"error": refusal.sentence, "status": refusal.status})


def parse_metres(text: str) -> float:
    """Read a text message: the metres between the photo before and the next one.

    Raises:
        Refusal: If it is not such a number.
    """
    try:
        metres = float(text) if len(text) <= NUMBER_LETTERS else -1.0
    except ValueError:
        metres = -1.0
    if not 0 <= metres <= MOST_METRES:  # false for NaN
        raise Refusal(422, f"{text[:NUMBER_LETTERS]!r}: expected metres, 0 to {MOST_METRES:g}, or "
                           "a photo as a binary message.")  # fmt: skip
    return metres
