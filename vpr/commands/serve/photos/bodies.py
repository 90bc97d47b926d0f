"""Photos in the bodies of requests, within their limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from vpr.commands.serve.limits import NAME_LETTERS, Limits
from vpr.commands.serve.refusals import Refusal

RAW = "application/octet-stream"
FORM = "multipart/form-data"
MAX_FIELDS = 10  # of a form, beside its photos
UNNAMED = "photo"


@dataclass(frozen=True)
class Upload:
    """A photo as it was sent.

    Args:
        name: As the client names it, without folders.
        content: The file.
    """

    name: str
    content: bytes


async def read_uploads(request: Request, limits: Limits, *, most: int) -> list[Upload]:
    """Read the photos of a body: one as it is, or one or more in a form.

    Args:
        request: Of which nothing was read.
        limits: Of bytes and time.
        most: Photos that are taken.

    Raises:
        Refusal: If the body is too large, too slow, no form or holds no photo.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind != RAW and not kind.startswith("image/"):
        raise Refusal(
            415, f"Content-Type is {kind[:80]!r}: send a photo as image/*, {RAW} or in {FORM}."
        )
    stream = _limited(request, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            if kind == FORM:
                uploads = await _read_form(request, stream, most)
            else:
                uploads = [Upload(UNNAMED, b"".join([chunk async for chunk in stream]))]
    except TimeoutError:
        raise Refusal(408, f"the body took more than {limits.seconds:g} seconds.") from None
    if not uploads or not all(upload.content for upload in uploads):
        raise Refusal(400, "the body holds no photo, or an empty one.")
    return uploads


async def _limited(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    sentence = f"the body has more than {limits.num_bytes:,} bytes: send a smaller photo."
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > limits.num_bytes:
        raise Refusal(413, sentence)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limits.num_bytes:
            raise Refusal(413, sentence)
        yield chunk


async def _read_form(
    request: Request, stream: AsyncGenerator[bytes, None], most: int
) -> list[Upload]:
    parser = MultiPartParser(request.headers, stream, max_files=most, max_fields=MAX_FIELDS)
    parser.spool_max_size = 0  # all in memory: the body's limit bounds it, and no disk sees it
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"not a form that can be read: {error.message.rstrip('.')}.") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    return [Upload(shown_name(file.filename or ""), await file.read()) for file in files]


def shown_name(name: str) -> str:
    """Name of a photo in an answer: without folders, and without signs that are not printed."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printed = "".join(letter for letter in last if letter.isprintable())
    return printed[:NAME_LETTERS] or UNNAMED
