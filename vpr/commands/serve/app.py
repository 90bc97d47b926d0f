"""The routes, and how they are described."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from vpr.commands.serve.access import Access, guard, require_token
from vpr.commands.serve.admission import Limits, Refusal
from vpr.commands.serve.answers import (
    ANSWER,
    Answer,
    PlacesAnswer,
    describe_answer,
    describe_body,
    describe_refusals,
    places_of,
    read_picture,
)
from vpr.commands.serve.pages import STATIC, Background, documentation, front_page, read_static
from vpr.commands.serve.run import ServedRun, Version
from vpr.commands.serve.service import Answering, Service
from vpr.commands.serve.track import add_drives

SILENT = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)
REFUSED = (Refusal, RequestValidationError, HTTPException, ClientDisconnect, Exception)
V1 = "/v1"  # what programs ask; a change that breaks them gets another number
Top = Annotated[int, Query(ge=1, le=100, description="Matches of each photo.")]
Pairs = Annotated[
    bool, Query(description="Whether matches list the points that verify them, if any do.")
]
Length = Annotated[
    int | None,
    Query(ge=1, le=100, description="Photos on a line (docs/sequence.md); 1: each photo alone; if "
                                    "left out, by the run's own method, which may be a filter."),
]  # fmt: skip


def make_app(run: ServedRun, limits: Limits, access: Access) -> ASGIApp:
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
        exception_handlers=dict.fromkeys(REFUSED, _refuse),
    )  # fmt: skip
    answers = APIRouter(prefix=V1, dependencies=[Depends(require_token(access.token))])
    _add_questions(answers)
    _add_facts(answers)
    add_drives(answers)
    app.include_router(answers)
    _add_pages(app, access.background)
    return guard(app, access)


def _add_questions(answers: APIRouter) -> None:
    @answers.post(
        "/locate", response_model=Answer, responses=describe_answer(ANSWER),
        openapi_extra=describe_body(several=False), summary="Where was this photo taken?",
    )  # fmt: skip
    async def locate(
        request: Request, service: Answering, top: Top = 5, pairs: Pairs = False
    ) -> Response:
        async with service.receive(request, most=1) as photos:
            return JSONResponse(await service.locate(photos, top=top, length=1, pairs=pairs))

    @answers.post(
        "/sequence", response_model=Answer, responses=describe_answer(ANSWER),
        openapi_extra=describe_body(several=True), summary="Where were photos taken, in order?",
    )  # fmt: skip
    async def locate_sequence(
        request: Request, service: Answering, top: Top = 5, length: Length = None,
        pairs: Pairs = False,
    ) -> Response:  # fmt: skip
        async with service.receive(request, most=service.limits.num_photos) as photos:
            return JSONResponse(await service.locate(photos, top=top, length=length, pairs=pairs))


def _add_facts(answers: APIRouter) -> None:
    @answers.get("/version", summary="The run that answers", responses=describe_refusals())
    async def version(service: Answering) -> Version:
        return service.run.version

    @answers.get("/places", response_model=PlacesAnswer, responses=describe_refusals(),
                 summary="Positions of the database's photos")  # fmt: skip
    async def places(service: Answering) -> Response:
        return JSONResponse(dataclasses.asdict(places_of(service.run)))

    @answers.get("/places/{image}/picture", summary="A small picture of a database photo, as JPEG",
                 response_class=Response, responses=describe_refusals(404, 410, 422))  # fmt: skip
    async def picture(service: Answering, image: int) -> Response:
        content = await asyncio.to_thread(read_picture, service.run, image)
        return Response(content, media_type="image/jpeg")


def _add_pages(app: FastAPI, background: Background | None) -> None:
    # These hold nothing of the run, and need no token: the page asks its reader for it.
    @app.get("/healthz", summary="Whether the service runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    async def front(request: Request, lang: str | None = None) -> HTMLResponse:
        return HTMLResponse(
            front_page(lang, request.headers.get("accept-language", ""), background)
        )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documentation(app.openapi()))

    if background is not None and background.file is not None:
        file = background.file

        @app.get(f"/{background.url}", include_in_schema=False)
        async def tiles() -> Response:
            return FileResponse(file)  # or the range of it that is asked for

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "Not Found")
        return Response(read_static(name), media_type=STATIC[name],
                        headers={"Cache-Control": "no-cache"})  # fmt: skip


async def _refuse(asked: Request | WebSocket, error: Exception) -> Response:
    """Answer with one sentence, whatever failed."""
    match error:
        case Refusal():
            refusal = error
        case RequestValidationError():
            first = error.errors()[0]
            refusal = Refusal(422, f"{first['loc'][-1]}: {first['msg']}.")
        case HTTPException():
            refusal = Refusal(error.status_code, f"{error.detail}: /docs lists what is here.")
        case ClientDisconnect():
            refusal = Refusal(400, "the body is incomplete.")
        case _:
            refusal = Refusal(500, "the service failed: its log says where.")
    response = refusal.response()
    if isinstance(asked, WebSocket):  # of which Starlette does not send what is returned
        await asked.send_denial_response(response)
    return response
