"""Photos on their way into the service: read within limits, decoded by processes of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from vpr.commands.serve.admission import Body, Limits, Refusal
from vpr.commands.serve.decoder import DECODED
from vpr.images.image_files import EncodedImage

RAW = "application/octet-stream"
FORM = "multipart/form-data"
MAX_FIELDS = 10  # of a form, beside its photos
NAME_LETTERS = 120  # kept of a photo's name
UNNAMED = Path("photo")
NUM_DECODERS = max(2, min(8, os.cpu_count() or 1))  # two at least: one may be kept busy


async def read_uploads(
    request: Request, body: Body, limits: Limits, *, most: int
) -> list[EncodedImage]:
    """Read the photos of a body: one as it is, or one or more in a form.

    Args:
        request: The request, of which nothing was read.
        body: Counts what arrives.
        limits: How large the body may be.
        most: Photos that are taken.

    Raises:
        Refusal: If the body is too large, not a form, or holds no photo.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind != RAW and not kind.startswith("image/"):
        raise Refusal(
            415, f"Content-Type is {kind[:80]!r}: send a photo as image/*, {RAW} or in {FORM}."
        )
    stream = _limited(request, body, limits)
    if kind == FORM:
        uploads = await _read_form(request, stream, most)
    else:
        uploads = [EncodedImage(UNNAMED, b"".join([chunk async for chunk in stream]))]
    if not uploads or not all(upload.content for upload in uploads):
        raise Refusal(400, "the body holds no photo, or an empty one.")
    return uploads


async def _limited(request: Request, body: Body, limits: Limits) -> AsyncGenerator[bytes, None]:
    sentence = f"the body has more than {limits.num_bytes:,} bytes: send a smaller photo."
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > limits.num_bytes:
        raise Refusal(413, sentence)
    async for chunk in request.stream():
        body.num_bytes += len(chunk)
        if body.num_bytes > limits.num_bytes:
            raise Refusal(413, sentence)
        yield chunk


async def _read_form(
    request: Request, stream: AsyncGenerator[bytes, None], most: int
) -> list[EncodedImage]:
    parser = MultiPartParser(request.headers, stream, max_files=most, max_fields=MAX_FIELDS)
    parser.spool_max_size = 0  # all in memory: the body's limit bounds it, and no disk sees it
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"not a form that can be read: {error.message.rstrip('.')}.") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    return [EncodedImage(shown_name(file.filename or ""), await file.read()) for file in files]


def shown_name(name: str) -> Path:
    """Name of a photo in an answer: without folders, and without signs that are not printed."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printed = "".join(letter for letter in last if letter.isprintable())
    return Path(printed[:NAME_LETTERS]) if printed else UNNAMED


class Decoder:
    """One process, replaced when a photo kills it or takes too long.

    Args:
        limits: Limits of a photo.
    """

    def __init__(self, limits: Limits) -> None:
        """Start the process."""
        self.limits = limits
        self._start()

    def _start(self) -> None:
        self.connection, theirs = Pipe()
        command = (sys.executable, "-m", "vpr.commands.serve.decoder")
        self.process = subprocess.Popen(
            [*command, str(theirs.fileno()), str(self.limits.num_pixels)],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders of C print what they read
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the service, which finishes what runs
        )  # fmt: skip
        theirs.close()

    def stop(self) -> None:
        """Kill the process, whatever it does."""
        self.connection.close()
        self.process.kill()
        self.process.wait()

    def decode(self, content: bytes) -> bytes:
        """Decode a photo: a PPM, or a sentence that says why not."""
        if self.process.poll() is not None:  # it died while it had nothing to do
            self._restart()
        try:
            self.connection.send_bytes(content)
            if self.connection.poll(self.limits.seconds):
                return self.connection.recv_bytes()
            sentence = b"decoding took more than %g seconds" % self.limits.seconds
        except (EOFError, OSError):
            sentence = b"not a readable image: decoding it failed"
        self._restart()  # it died, or would answer this photo when it is asked for the next
        return sentence

    def _restart(self) -> None:
        self.stop()
        self._start()


class Decoders:
    """As many processes as the machine has cores, and at least two.

    By hand, since a pool of `concurrent.futures` cannot kill one process: a photo that crashes or
    hangs its decoder would take all photos with it that are decoded at the time.

    Args:
        limits: Limits of a photo.
    """

    def __init__(self, limits: Limits) -> None:
        """Start them."""
        self.all = [Decoder(limits) for _ in range(NUM_DECODERS)]
        self.idle: SimpleQueue[Decoder] = SimpleQueue()
        for decoder in self.all:
            self.idle.put(decoder)
        self.threads = ThreadPoolExecutor(NUM_DECODERS, thread_name_prefix="decoders")

    def stop(self) -> None:
        """Stop them all."""
        self.threads.shutdown()
        for decoder in self.all:
            decoder.stop()

    async def decode(self, upload: EncodedImage) -> EncodedImage:
        """Decode a photo.

        Returns:
            A PPM of it, upright.

        Raises:
            Refusal: If it is not an image, too large, or takes too long.
        """
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self.threads, self._decode, upload.content)
        if not answer.startswith(DECODED):
            raise Refusal(422, f"{upload}: {answer.decode(errors='replace')}.")
        return EncodedImage(upload.path, answer)

    def _decode(self, content: bytes) -> bytes:
        decoder = self.idle.get_nowait()  # there are as many as threads
        try:
            return decoder.decode(content)
        finally:
            self.idle.put(decoder)
