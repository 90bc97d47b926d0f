"""The two questions about photos, and how they are described."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from vpr.commands.serve.answers import Answer
from vpr.commands.serve.limits import Limits
from vpr.commands.serve.photos.bodies import FORM, RAW, read_uploads
from vpr.commands.serve.service import Service

PHOTO = {"type": "string", "format": "binary"}
REFUSALS = {400: "No photo", 408: "Sent too slowly", 413: "Too large", 415: "Of another type",
            422: "Not a readable photo", 503: "Busy: see Retry-After"}  # fmt: skip
Top = Annotated[int, Query(ge=1, le=100, description="Matches of each photo.")]


def _body(*, several: bool) -> dict[str, Any]:
    files = {"type": "array", "items": PHOTO} if several else PHOTO
    form = {"schema": {"type": "object", "properties": {"photo": files}}}
    raw = {} if several else {"image/*": {"schema": PHOTO}, RAW: {"schema": PHOTO}}
    return {"requestBody": {"required": True, "content": {FORM: form, **raw}}}


def _responses() -> dict[int | str, dict[str, Any]]:
    return {status: {"description": words} for status, words in REFUSALS.items()}


def add_questions(app: FastAPI, limits: Limits) -> None:
    """Add the routes.

    Args:
        app: That they are added to.
        limits: Of requests.
    """

    @app.post(
        "/locate", response_model=Answer, responses=_responses(),
        openapi_extra=_body(several=False), summary="Where was this photo taken?",
    )  # fmt: skip
    async def locate(request: Request, top: Top = 5) -> Response:
        service: Service = request.app.state.service
        async with service.admission():
            uploads = await read_uploads(request, limits, most=1)
            return JSONResponse(await service.locate(uploads, top=top, length=None))

    @app.post(
        "/locate/sequence", response_model=Answer, responses=_responses(),
        openapi_extra=_body(several=True), summary="And these, taken in this order?",
    )  # fmt: skip
    async def locate_sequence(
        request: Request,
        top: Top = 5,
        length: Annotated[
            int | None,
            Query(ge=1, le=100, description="Photos on a line (docs/sequence.md); the run's own if "
                                            "left out; 1: each photo alone."),
        ] = None,
    ) -> Response:  # fmt: skip
        service: Service = request.app.state.service
        async with service.admission():
            uploads = await read_uploads(request, limits, most=limits.num_photos)
            on_line = length or service.run.sequence.length
            return JSONResponse(await service.locate(uploads, top=top, length=on_line))
