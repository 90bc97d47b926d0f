"""Drives over HTTP and over a websocket, where each binary message is a photo."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response

from vpr.commands.serve.admission import Refusal, address_of
from vpr.commands.serve.answers import (
    OF_SESSIONS,
    TRACKED,
    TrackAnswer,
    describe_answer,
    describe_body,
    describe_refusals,
)
from vpr.commands.serve.photos import UNNAMED
from vpr.commands.serve.service import Answering, Service
from vpr.commands.serve.sessions import IDLE_SECONDS
from vpr.images.image_files import EncodedImage

MOST_METRES = 1e6  # from one photo to the next
NUMBER_LETTERS = 32  # of a text message
GOING_AWAY = 1001  # close code of RFC 6455

Session = Annotated[
    str | None, Query(max_length=64, description="From the answer before; none: a drive begins.")
]
Moved = Annotated[
    float | None,
    Query(ge=0, le=MOST_METRES, allow_inf_nan=False,
          description="Metres since the photo before, by odometry; none: unknown."),
]  # fmt: skip


def add_drives(answers: APIRouter) -> None:
    """Add the routes of drives."""

    @answers.post(
        "/track", response_model=TrackAnswer, summary="Where is this drive, by its next photo?",
        openapi_extra=describe_body(several=False),
        responses=describe_answer(TRACKED, own=OF_SESSIONS),
    )  # fmt: skip
    async def track(
        request: Request, service: Answering, session: Session = None, moved_m: Moved = None
    ) -> Response:
        async with service.receive(request, most=1) as (photo,):
            answer = await service.track(photo, session, address_of(request), moved_m)
            return JSONResponse(asdict(answer))

    @answers.delete("/track/{session}", status_code=204, summary="End a drive",
                    responses=describe_refusals())  # fmt: skip
    async def end(service: Answering, session: str) -> None:
        service.sessions.end(session)

    @answers.websocket("/track")
    async def follow(websocket: WebSocket, service: Answering, session: Session = None) -> None:
        address = address_of(websocket)
        with service.sockets.take(address):
            await websocket.accept()
            with suppress(WebSocketDisconnect):  # while its last photo was looked at
                await _follow(websocket, service, session, address)


async def _follow(
    websocket: WebSocket, service: Service, session: str | None, address: str
) -> None:
    """Answer photos until the client leaves; one that is refused leaves the drive where it was."""
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
            with service.queue.take(address):
                photo = EncodedImage(UNNAMED, message["bytes"])
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
