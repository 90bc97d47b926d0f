"""`python -m vpr serve`: the run that dvc.lock records, asked over HTTP."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from vpr.commands.serve.limits import Limits

TOKEN = "VPR_SERVE_TOKEN"  # noqa: S105 - the variable's name
LEAST_TOKEN = 16  # letters, so that it is not guessed
LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECTIONS = 512  # open at once, at most
GRACE_SECONDS = 60  # for what runs to be finished after SIGTERM


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 8000,
    without_token: Annotated[
        bool, typer.Option(help=f"Let anyone ask who reaches another address, without {TOKEN}.")
    ] = False,
    megabytes: Annotated[int, typer.Option(min=1, max=256, help="Of a request.")] = 16,
    megapixels: Annotated[int, typer.Option(min=1, max=89, help="Of a photo.")] = 25,
    photos: Annotated[int, typer.Option(min=1, max=100, help="Of a sequence.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.1, help="To send, and to decode.")] = 10.0,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait.")] = 64,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Photos described at once.")] = 8,
    wait_ms: Annotated[float, typer.Option(min=0, max=1000, help="For others to come.")] = 2.0,
) -> None:
    """Answer where photos were taken: http://127.0.0.1:8000 has a page, /docs the rest."""
    token = _check_token(host, os.environ.get(TOKEN), without_token=without_token)
    limits = Limits(
        megabytes * 10**6, megapixels * 10**6, photos, seconds, queue, batch, wait_ms / 1000
    )
    if sys.platform != "linux":
        raise ValueError("serve keeps photos in memory files, which only Linux has: run it there")
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: `make serve` installs it") from None
    from vpr.commands.serve.app import make_app
    from vpr.commands.serve.guard import Guard
    from vpr.commands.serve.loading import load_run
    from vpr.commands.serve.protocol import impatient_protocol

    hosts = LOOPBACK if token is None and host in LOOPBACK else None
    app = Guard(make_app(load_run(), limits), token=token, hosts=hosts)
    uvicorn.run(
        app, host=host, port=port, http=impatient_protocol(seconds), ws="none", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=CONNECTIONS, lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip


def _check_token(host: str, token: str | None, *, without_token: bool) -> str | None:
    """Return the token that requests must bring; None: they need none."""
    if token is not None and len(token) < LEAST_TOKEN:
        raise ValueError(
            f"{TOKEN} has {len(token)} letters, at least {LEAST_TOKEN} are asked for: "
            "take one of `openssl rand -hex 16`"
        )
    if token is None and host not in LOOPBACK and not without_token:
        raise ValueError(
            f"--host {host}: others can reach this address: set {TOKEN} to a secret that they "
            "must bring, or let anyone ask by --without-token"
        )
    return token
