"""`python -m vpr serve`: the run that dvc.lock records, asked over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from vpr.commands.serve.pages import parse_background

TOKEN = "VPR_SERVE_TOKEN"  # noqa: S105 - the variable's name
LEAST_TOKEN = 16  # letters, so that it is not guessed
LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost")
PROCESSES = Path("/proc")  # of Linux, which the service needs
GRACE_SECONDS = 60  # for what runs to be finished after SIGTERM


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: a free one.")] = 8000,
    without_token: Annotated[
        bool, typer.Option(help="Allow unauthenticated access on a non-loopback address.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Other origin whose pages may ask, as https://HOST; may be repeated."),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(help="Background map: https://HOST/{z}/{x}/{y}.png, or a PMTiles file."),
    ] = None,
    attribution: Annotated[str, typer.Option(help="Attribution of the tiles, in HTML.")] = "",
    megabytes: Annotated[
        int, typer.Option(min=1, max=256, help="Maximum request size in MB.")
    ] = 16,
    megapixels: Annotated[
        int, typer.Option(min=1, max=89, help="Maximum photo size in megapixels.")
    ] = 25,
    photos: Annotated[
        int, typer.Option(min=1, max=100, help="Maximum number of photos in a sequence.")
    ] = 20,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Timeout in seconds for upload and for decoding.")
    ] = 10.0,
    bodies: Annotated[
        int,
        typer.Option(min=2, help="Maximum number of uploads at once; half from one address."),
    ] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Maximum number of waiting requests.")] = 64,
) -> None:
    """Answer over HTTP where photos were taken; / is a page for people, /docs the API."""
    token = _check_token(host, os.environ.get(TOKEN), without_token=without_token)
    origins = _check_origins(origin or [])
    background = parse_background(tiles, attribution)
    if sys.platform != "linux":
        raise ValueError("serve limits the memory of its decoders, which needs Linux: run it there")
    import python_multipart  # noqa: F401 - forms are refused without it, but no sooner
    import uvicorn

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until there is a run to replace
    with _listen(host, port) as listener:  # before the run is loaded, which takes seconds
        from vpr.commands.serve.access import Access
        from vpr.commands.serve.admission import Limits
        from vpr.commands.serve.app import make_app
        from vpr.commands.serve.run import load_served_run
        from vpr.commands.serve.slow_senders import CONNECTIONS, impatient_protocols

        limits = Limits(megabytes * 10**6, megapixels * 10**6, photos, seconds, bodies, queue)
        hosts = LOOPBACK if token is None and host in LOOPBACK else None
        protocol, sockets = impatient_protocols(seconds)
        config = uvicorn.Config(
            make_app(load_served_run(), limits, Access(token, hosts, origins, background)),
            http=protocol, ws=sockets, ws_max_size=limits.num_bytes, access_log=False,
            ws_per_message_deflate=False,  # a small message would be a large one
            server_header=False,
            proxy_headers=False, limit_concurrency=CONNECTIONS, lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )  # fmt: skip
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        # For each connection: asyncio does so only for sockets that it made itself, and without it
        # the second segment of an answer waits 40 ms for the client to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise ValueError(
            f"--host {host} --port {port}: cannot listen there: {reason}: take another "
            f"--port, or end what uses this one (`ss -ltnp 'sport = :{port}'` names it)"
        ) from None


def _check_origins(origins: list[str]) -> list[str]:
    for origin in origins:
        if not re.fullmatch(r"https?://[^/\s]+", origin):
            raise ValueError(f"--origin {origin}: expected a scheme and a host, as https://HOST")
    return origins


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


def find_services(folder: Path) -> list[int]:
    """Find the process ids of services on this machine that answer from the run in a folder.

    They are recognised by their command lines, so they write no PID file.
    """
    found = []
    for process in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            words = (process / "cmdline").read_bytes().split(b"\0")
            is_ours = (process / "cwd").resolve(strict=True) == folder.resolve()
            if is_ours and _is_service(words):
                found.append(int(process.name))
    return sorted(found)


def _is_service(words: list[bytes]) -> bool:
    """Whether a command line is `python -m vpr serve` or the script's `vpr serve`."""
    if not words[0].rpartition(b"/")[2].startswith(b"python"):
        return False
    script = [words[1].rpartition(b"/")[2], *words[2:3]] if words[1:] else []
    return words[1:4] == [b"-m", b"vpr", b"serve"] or script == [b"vpr", b"serve"]
