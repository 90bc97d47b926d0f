"""What every request meets first, and every answer carries: who may ask, and what a page may do."""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpr.commands.serve.refusals import Refusal

# Pages and what they are made of hold nothing of the run; the page asks its reader for the token.
OPEN = ("/", "/docs", "/openapi.json", "/healthz")
OPEN_FOLDER = "/static/"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Refuses who may not ask, before anything is read.

    Args:
        app: What answers the others.
        token: That a request must bring; None: none.
        hosts: Names that the service goes by; None: any. A page of another name that was made to
            point here (DNS rebinding) is no reader of ours.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: tuple[str, ...] | None) -> None:
        """Keep what is asked for."""
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message)
            await send(message)

        refusal = self._find_refusal(Headers(scope=scope), scope["path"])
        answer = self.app if refusal is None else refusal.response()
        await answer(scope, receive, send_with_headers)

    def _find_refusal(self, headers: Headers, path: str) -> Refusal | None:
        host = headers.get("host", "")
        if self.hosts is not None and _without_port(host) not in self.hosts:
            names = ", ".join(self.hosts)
            return Refusal(421, f"this service is asked as one of {names} only.")
        is_link = headers.get("sec-fetch-mode") == "navigate" and path in OPEN  # to the page itself
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_link:
            return Refusal(403, "pages of other addresses may not ask this service.")
        if self.token is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return None
        scheme, _, found = headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(found.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not is_right:
            return Refusal(401, "a token is needed: send `Authorization: Bearer TOKEN`.")
        return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _add_headers(message: MutableMapping[str, Any]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
