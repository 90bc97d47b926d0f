"""The routes, and how they are described."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vpr.commands.serve.answers import Version, describe_version, places_of, read_picture
from vpr.commands.serve.limits import Limits
from vpr.commands.serve.pages import STATIC, documentation, front_page, read_static
from vpr.commands.serve.questions import add_questions
from vpr.commands.serve.refusals import Refusal
from vpr.commands.serve.run import Run
from vpr.commands.serve.service import Service

SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


def make_app(run: Run, limits: Limits) -> FastAPI:
    """Make the application.

    Args:
        run: That it answers from at first.
        limits: Of requests.
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
        yield
        await service.stop()

    app = FastAPI(
        title="Where was this photo taken?", version="1", lifespan=lifespan, docs_url=None,
        redoc_url=None, telemetry=SILENT, description="Answers from the run that dvc.lock records.",
    )  # fmt: skip
    _add_errors(app)
    add_questions(app, limits)
    _add_facts(app)
    _add_pages(app)
    return app


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


def _add_facts(app: FastAPI) -> None:
    @app.get("/healthz", summary="Does it answer?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/version", summary="Of which run?")
    async def version(request: Request) -> Version:
        return describe_version(request.app.state.service.run)

    @app.get("/places", summary="Where are the database's places?")
    async def places(request: Request) -> Response:
        return JSONResponse(dataclasses.asdict(places_of(request.app.state.service.run)))

    @app.get("/places/{image}/picture", summary="A small picture of one, as JPEG",
             response_class=Response)  # fmt: skip
    async def picture(request: Request, image: int) -> Response:
        run: Run = request.app.state.service.run
        content = await asyncio.to_thread(read_picture, run, image)
        return Response(content, media_type="image/jpeg")


def _add_pages(app: FastAPI) -> None:
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
