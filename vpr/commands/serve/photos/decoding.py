"""Photos decoded by processes of their own, each within its time."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from vpr.commands.serve.limits import Limits
from vpr.commands.serve.photos.decoder import PACKET
from vpr.commands.serve.photos.memory_files import MemoryFile
from vpr.commands.serve.refusals import Refusal

COMMAND = (sys.executable, "-m", "vpr.commands.serve.photos.decoder")
NUM_DECODERS = max(2, min(8, os.cpu_count() or 1))  # two at least: one may be kept busy


@dataclass(frozen=True)
class Picture:
    """A decoded photo.

    Args:
        file: Holds it, upright and in RGB.
        size_px: Height and width.
    """

    file: MemoryFile
    size_px: tuple[int, int]


class Decoder:
    """One process, started again whenever it dies or is stopped.

    Args:
        max_pixels: Largest number of pixels that is decoded.
    """

    def __init__(self, max_pixels: int) -> None:
        """Start the process."""
        self.max_pixels = max_pixels
        self._start()

    def _start(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.setblocking(False)
        self.process = subprocess.Popen(
            [*COMMAND, str(theirs.fileno()), str(self.max_pixels)],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders of C print what they read
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the service, which finishes what runs
        )  # fmt: skip
        theirs.close()

    def stop(self) -> None:
        """Kill the process, whatever it does."""
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Put a new process in its place."""
        self.stop()
        self._start()

    async def decode(self, photo: MemoryFile, target: MemoryFile) -> bytes:
        """Answer of the process; empty if it died of this photo."""
        if self.process.poll() is not None:  # while it had nothing to do
            self.restart()
        try:
            socket.send_fds(self.channel, [b"0"], [photo.number, target.number])
            return await asyncio.get_running_loop().sock_recv(self.channel, PACKET)
        except ConnectionError:
            return b""


class Decoders:
    """As many processes as the machine has cores, and at least two.

    Args:
        limits: What a photo may take.
    """

    def __init__(self, limits: Limits) -> None:
        """Start them."""
        self.limits = limits
        self.all = [Decoder(limits.num_pixels) for _ in range(NUM_DECODERS)]
        self.idle: asyncio.Queue[Decoder] = asyncio.Queue()
        for decoder in self.all:
            self.idle.put_nowait(decoder)

    def stop(self) -> None:
        """Stop them all."""
        for decoder in self.all:
            decoder.stop()

    async def decode(self, content: bytes, name: str) -> Picture:
        """Decode a photo.

        Args:
            content: Its file.
            name: That a refusal says.

        Raises:
            Refusal: If it is no image, too large, or takes too long.
        """
        decoder = await self.idle.get()
        try:
            with closing(MemoryFile(content)) as source:
                return await self._decode(decoder, source, name)
        finally:
            self.idle.put_nowait(decoder)

    async def _decode(self, decoder: Decoder, source: MemoryFile, name: str) -> Picture:
        target, answer = MemoryFile(), b""
        try:
            async with asyncio.timeout(self.limits.seconds):
                answer = await decoder.decode(source, target)
            return _picture(json.loads(answer or b"{}"), target, name)
        except TimeoutError:
            target.close()
            words = f"decoding took more than {self.limits.seconds:g} seconds"
            raise Refusal(422, f"{name}: {words}.") from None
        except BaseException:
            target.close()
            raise
        finally:
            if not answer:  # it died, or would answer this photo when it is asked for the next
                decoder.restart()


def _picture(answer: dict[str, Any], target: MemoryFile, name: str) -> Picture:
    if "size" not in answer:
        words = answer.get("error", "not a readable image: decoding it failed")
        raise Refusal(422, f"{name}: {words}.")
    height, width = answer["size"]
    return Picture(target, (height, width))
