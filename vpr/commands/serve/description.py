"""How OpenAPI describes the service: what is sent, an answer as an example, and every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vpr.commands.serve.photos import FORM, RAW

PHOTO = {"type": "string", "format": "binary"}
POSITION = {
    "easting": 389131.2, "northing": 5818012.1, "latitude": 52.504113, "longitude": 13.367213,
    "uncertainty_m": 12.4, "heading": 87.0,
}  # fmt: skip
ANSWER = {
    "run": "5f0c1d2e3a4b",
    "located": [
        {
            "photo": "photo.jpg", "state": "known", "probability": 0.987,
            "probability_interval": [0.95, 0.997],
            "position": POSITION,
            "matches": [
                {
                    "rank": 1, "image": 42, "database": "database/0042.jpg", "easting": 389130.8,
                    "northing": 5818012.0, "latitude": 52.504112, "longitude": 13.367207,
                    "distance": 0.8123, "inliers": 184, "log10_nfa": -71.3, "heading": 87.0,
                    "picture": "places/42/picture",
                }
            ],
        }
    ],
    "threshold": {"by": "inliers", "limit": -9.2},
    "timings_ms": {"decoding": 4.1, "waiting_and_ranking": 31.7},
}  # fmt: skip
TRACKED = {
    "session": "kX3vQ0m8WcYl2b7TzJr5Ng", "number": 17,
    "tracked": {
        "photo": "photo.jpg", "time": None, "state": "known", "probability": 0.981,
        "off_map": 0.004, "database": "database/0042.jpg", "position": POSITION,
    },
}  # fmt: skip
Refusals = Mapping[int, tuple[str, str]]  # by status: what it means, and an example
REFUSALS: Refusals = {
    400: ("No photo, not a form, or a foreign Host", "the body holds no photo, or an empty one."),
    401: ("A token is needed", "a token is needed: send `Authorization: Bearer TOKEN`."),
    403: ("A page of another origin asked", "pages of other addresses may not ask this service."),
    404: ("Not here", "image 999: the database has 120, from 0."),
    408: ("Sent too slowly", "the body took more than 10 seconds, or was the slowest of too many."),
    410: ("Replaced since", "image 3: its picture was replaced since the run was loaded."),
    413: ("Too large", "the body has more than 16,000,000 bytes: send a smaller photo."),
    415: ("Of another type", "Content-Type is 'text/html': send a photo as image/*, ..."),
    422: ("Not a readable photo, or not such a value", "photo.jpg: not a readable image."),
    500: ("The service failed", "the service failed: its log says where."),
    503: ("Busy: ask again after Retry-After seconds",
          "64 requests are waiting: ask again later."),
}  # fmt: skip
OF_SESSIONS: Refusals = {
    404: ("No such session",
          "session: there is none of this name, or it ended after 600 seconds without a photo: "
          "leave it out to begin another."),
    409: ("Session busy: ask again after Retry-After seconds",
          "session: its photo before is still being looked at: send one after another."),
    410: ("Another run answers now",
          "session: another run answers now: leave it out to begin another."),
}  # fmt: skip
OF_ALL = (400, 401, 403, 500)
OF_PHOTOS = (408, 413, 415, 422, 503)


@dataclass(frozen=True)
class Error:
    """Why a request was refused, in one sentence."""

    error: str


def describe_body(*, several: bool) -> dict[str, Any]:
    """Describe the body that carries photos."""
    files = {"type": "array", "items": PHOTO} if several else PHOTO
    form = {"schema": {"type": "object", "properties": {"photo": files}}}
    raw = {} if several else {"image/*": {"schema": PHOTO}, RAW: {"schema": PHOTO}}
    return {"requestBody": {"required": True, "content": {FORM: form, **raw}}}


def describe_refusals(
    *statuses: int, own: Refusals = MappingProxyType({})
) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals that any request may get, and some more; `own` are a route's own."""
    words = {**REFUSALS, **own}
    return {
        status: {
            "description": words[status][0], "model": Error,
            "content": {"application/json": {"example": {"error": words[status][1]}}},
        }
        for status in sorted({*OF_ALL, *statuses, *own})
    }  # fmt: skip


def describe_answer() -> dict[int | str, dict[str, Any]]:
    """Describe an answer to photos, and the refusals."""
    return _describe(ANSWER, describe_refusals(*OF_PHOTOS))


def describe_track() -> dict[int | str, dict[str, Any]]:
    """Describe an answer to the next photo of a drive, and the refusals."""
    return _describe(TRACKED, describe_refusals(*OF_PHOTOS, own=OF_SESSIONS))


def _describe(
    example: dict[str, Any], refusals: dict[int | str, dict[str, Any]]
) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"example": example}}
    return {200: {"content": content, "description": "The answer"}, **refusals}
