"""A request that is not answered, and why."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response


class Refusal(Exception):
    """A request that is refused, in one sentence.

    Args:
        status: Of HTTP.
        sentence: What was expected, what was found, what to do.
        retry_after: Seconds after which the client may ask again; None: never with this request.
    """

    def __init__(self, status: int, sentence: str, *, retry_after: int | None = None) -> None:
        """Keep what is said."""
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after = status, sentence, retry_after

    def response(self) -> Response:
        """Write it as `{"error": sentence}`."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(
            json.dumps({"error": self.sentence}, ensure_ascii=False), self.status, headers,
            media_type="application/json",
        )  # fmt: skip
