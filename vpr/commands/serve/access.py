"""Who may ask, and what a page may do."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpr.commands.serve.admission import Refusal
from vpr.commands.serve.pages import Background

LINKED = ("/", "/docs", "/openapi.json", "/healthz")  # what other sites may link to
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Args:
        token: Token that a request must carry; None: no token is asked for.
        hosts: Names that the service goes by; None: any. A page of another name that was made to
            point here (DNS rebinding) is not one of ours.
        origins: Other origins whose pages may ask.
        background: Of the page's map; None: it has none.
    """

    token: str | None
    hosts: Sequence[str] | None
    origins: Sequence[str]
    background: Background | None

    @property
    def headers(self) -> dict[str, str]:
        """What binds a browser; servers of tiles want to know which site shows them."""
        origin = self.background and self.background.origin
        images = "'self' blob: data:" + (f" {origin}" if origin else "")
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        referrer = "strict-origin" if origin else "no-referrer"
        return HEADERS | {"Content-Security-Policy": policy, "Referrer-Policy": referrer}


def require_token(token: str | None) -> Callable[[Bearer], Awaitable[None]]:
    """Make a dependency that refuses requests without the token."""

    async def check(bearer: Bearer) -> None:
        found = bearer.credentials if bearer else ""
        if token is not None and not hmac.compare_digest(found.encode(), token.encode()):
            raise Refusal(401, "a token is needed: send `Authorization: Bearer TOKEN`.")

    return check


def guard(app: FastAPI, access: Access) -> ASGIApp:
    """Let only those ask who may, and send what binds a browser with each answer."""
    if access.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=access.origins, allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"], expose_headers=["Retry-After"],
        )  # fmt: skip
    if access.hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=access.hosts, www_redirect=False)
    return _Guard(app, access.origins, access.headers)


class _Guard:
    """By hand, since Starlette has nothing for either: a form of another page needs no CORS.

    Args:
        app: The wrapped application.
        origins: Other origins whose pages may ask.
        headers: Sent with each answer.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str], headers: dict[str, str]) -> None:
        self.app, self.origins, self.headers = app, origins, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):  # a websocket's refusal, too
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self.app
        if scope["type"] != "lifespan" and self._is_foreign(scope, Headers(scope=scope)):
            answer = Refusal(403, "pages of other addresses may not ask this service.").response()
        await answer(scope, receive, send_with_headers)

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        origin = headers.get("origin")
        if scope["type"] == "websocket":  # of which a browser tells where its page is from, no more
            host = (origin or "").partition("://")[2]
            return origin not in (None, *self.origins) and host != headers.get("host")
        is_link = headers.get("sec-fetch-mode") == "navigate" and scope["path"] in LINKED
        is_other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        return is_other and not is_link and origin not in self.origins
