"""The routes, and how they are described."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from vpr.commands.serve.access import Access, guard, require_token
from vpr.commands.serve.admission import Limits, Refusal
from vpr.commands.serve.answers import (
    Answer,
    Version,
    describe_version,
    places_of,
    read_picture,
)
from vpr.commands.serve.pages import STATIC, documentation, front_page, read_static
from vpr.commands.serve.photos import FORM, RAW, read_uploads
from vpr.commands.serve.run import Run
from vpr.commands.serve.service import Service

SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
PHOTO = {"type": "string", "format": "binary"}
REFUSALS = {400: "No photo", 401: "A token is needed", 408: "Sent too slowly", 413: "Too large",
            415: "Of another type", 422: "Not a readable photo",
            503: "Busy: see Retry-After"}  # fmt: skip
Top = Annotated[int, Query(ge=1, le=100, description="Matches of each photo.")]
Length = Annotated[
    int | None,
    Query(ge=1, le=100, description="Photos on a line (docs/sequence.md); the run's own if left "
                                    "out; 1: each photo alone."),
]  # fmt: skip


def make_app(run: Run, limits: Limits, access: Access) -> ASGIApp:
    """Make the application.

    Args:
        run: The first run to answer from.
        limits: Limits of requests.
        access: Who may ask.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = Service(run, limits)
        tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps no hold of them

        def take_over() -> None:
            task = asyncio.create_task(service.take_over())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, take_over)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        yield
        service.stop()

    app = FastAPI(
        title="Where was this photo taken?", version="1", lifespan=lifespan, docs_url=None,
        redoc_url=None, telemetry=SILENT, description="Answers from the run that dvc.lock records.",
        servers=[{"url": "."}],  # beside openapi.json, whatever path a proxy puts before both
        redirect_slashes=False,  # to an address that only the proxy's inside knows
    )  # fmt: skip
    _add_errors(app)
    answers = APIRouter(dependencies=[Depends(require_token(access.token))])
    _add_questions(answers, limits)
    _add_facts(answers)
    app.include_router(answers)
    _add_pages(app)
    return guard(app, access)


def _add_questions(answers: APIRouter, limits: Limits) -> None:
    async def answer(request: Request, *, most: int, top: int, length: int | None) -> Response:
        service: Service = request.app.state.service
        service.queue.require_room()
        async with service.bodies.receive(request.client.host if request.client else "") as body:
            uploads = await read_uploads(request, body, limits, most=most)
        async with service.queue.place():
            return JSONResponse(await service.locate(uploads, top=top, length=length))

    @answers.post(
        "/locate", response_model=Answer, responses=_responses(),
        openapi_extra=_body(several=False), summary="Where was this photo taken?",
    )  # fmt: skip
    async def locate(request: Request, top: Top = 5) -> Response:
        return await answer(request, most=1, top=top, length=1)

    @answers.post(
        "/locate/sequence", response_model=Answer, responses=_responses(),
        openapi_extra=_body(several=True), summary="And these, taken in this order?",
    )  # fmt: skip
    async def locate_sequence(request: Request, top: Top = 5, length: Length = None) -> Response:
        return await answer(request, most=limits.num_photos, top=top, length=length)


def _body(*, several: bool) -> dict[str, Any]:
    files = {"type": "array", "items": PHOTO} if several else PHOTO
    form = {"schema": {"type": "object", "properties": {"photo": files}}}
    raw = {} if several else {"image/*": {"schema": PHOTO}, RAW: {"schema": PHOTO}}
    return {"requestBody": {"required": True, "content": {FORM: form, **raw}}}


def _responses() -> dict[int | str, dict[str, Any]]:
    return {status: {"description": words} for status, words in REFUSALS.items()}


def _add_facts(answers: APIRouter) -> None:
    @answers.get("/version", summary="Of which run?")
    async def version(request: Request) -> Version:
        return describe_version(request.app.state.service.run)

    @answers.get("/places", summary="Where are the database's places?")
    async def places(request: Request) -> Response:
        return JSONResponse(dataclasses.asdict(places_of(request.app.state.service.run)))

    @answers.get("/places/{image}/picture", summary="A small picture of one, as JPEG",
             response_class=Response)  # fmt: skip
    async def picture(request: Request, image: int) -> Response:
        run: Run = request.app.state.service.run
        content = await asyncio.to_thread(read_picture, run, image)
        return Response(content, media_type="image/jpeg")


def _add_pages(app: FastAPI) -> None:
    # These hold nothing of the run, and need no token: the page asks its reader for it.
    @app.get("/healthz", summary="Does it answer?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    async def front(request: Request, lang: str | None = None) -> HTMLResponse:
        return HTMLResponse(front_page(lang, request.headers.get("accept-language", "")))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documentation(app.openapi()))

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "Not Found")
        return Response(read_static(name), media_type=STATIC[name],
                        headers={"Cache-Control": "no-cache"})  # fmt: skip


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def misspelt(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return Refusal(422, f"{first['loc'][-1]}: {first['msg']}.").response()

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        return Refusal(error.status_code, f"{error.detail}: /docs lists what is here.").response()

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Refusal(400, "the body did not end.").response()

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> Response:
        return Refusal(500, "the service failed: its log says where.").response()
