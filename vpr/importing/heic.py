"""HEIC photos, read by pillow-heif in a process of its own.

Its decoders are compiled code that hostile files have taken over, and that claims memory by what a
file says. So that process has limits, and is ended if it takes too long. It also keeps its x265
away from OpenCV's, together with which it crashed on macOS.

`python -m vpr.importing.heic CONNECTION` is that process.
"""

from __future__ import annotations

import atexit
import io
import os
import resource
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

SUFFIXES = {".heic", ".heif", ".hif"}
LEAST_VERSION = (1, 7)  # earlier ones run code that a hostile photo brings (CVE-2026-84383)
INSTALL = "pip install -r requirements-import.txt"
MEMORY_BYTES = 2 * 2**30  # of addresses; a photo of 12 megapixels takes 341 MB
MAX_PIXELS = 89_478_485  # as for other formats, vpr/images/image_files.py
SECONDS = 20.0  # for one photo; 12 megapixels take 0.3
QUALITY = 95  # of the JPEG
DONE, FAILED = b"+", b"-"


def describe_missing() -> str | None:
    """Say what to install; None if HEIC photos can be read."""
    try:
        found = version("pillow-heif")
    except PackageNotFoundError:
        return f"HEIC: {INSTALL} reads them"
    if tuple(map(int, found.split(".")[:2])) < LEAST_VERSION:
        return f"HEIC: pillow-heif {found} is unsafe: {INSTALL}"
    return None


@dataclass(frozen=True)
class HeicPhoto:
    """A HEIC photo as an upright JPEG."""

    file: Path

    def __call__(self) -> bytes:
        """Decode it; a ValueError says that it is damaged, too large, or takes too long."""
        return _READER.ask(b"j", self.file)


def content_of(file: Path, name: str) -> tuple[Path | HeicPhoto, str]:
    """Give what makes the image of a photo, and the name that it gets."""
    if file.suffix.lower() not in SUFFIXES:
        return file, name
    return HeicPhoto(file), f"{name}.jpg"  # IMG_1.jpg may lie beside IMG_1.heic


def read_heic_exif(file: Path) -> Image.Exif:
    """Read the EXIF data of a HEIC photo, without decoding it.

    Raises:
        ValueError: As `HeicPhoto`.
    """
    exif = Image.Exif()
    exif.load(_READER.ask(b"e", file))
    return exif


class _Reader:
    """The process, started when it is first asked, and again when a photo has ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, what: bytes, file: Path) -> bytes:
        if self.process is None or self.process.poll() is not None:
            self._start()
        words = "not a readable HEIC photo: it ended its decoder"
        try:
            self.connection.send_bytes(what + os.fsencode(file.absolute()))
            if self.connection.poll(SECONDS):
                answer = self.connection.recv_bytes()
                if answer.startswith(DONE):
                    return answer[1:]
                raise ValueError(answer[1:].decode(errors="replace"))
            words = f"not a readable HEIC photo: it takes more than {SECONDS:g} seconds"
        except (EOFError, OSError):
            pass
        self.stop()
        raise ValueError(words)

    def _start(self) -> None:
        self.connection, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vpr.importing.heic", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libheif prints what it reads
            cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        theirs.close()

    def stop(self) -> None:
        """End the process, if it runs."""
        if self.process is not None:
            self.connection.close()
            self.process.kill()
            self.process.wait()
            self.process = None


_READER = _Reader()
atexit.register(_READER.stop)


def _answer(what: bytes, path: bytes) -> bytes:
    with Image.open(os.fsdecode(path), formats=["HEIF"]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("more pixels than a photo has")
        if what == b"e":
            return bytes(image.info.get("exif") or b"")
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=QUALITY)
        return out.getvalue()


def main() -> None:
    """Answer until the other end of the connection is closed."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        try:
            answer = DONE + _answer(request[:1], request[1:])
        except Exception as error:  # damaged bytes raise many kinds
            words = " ".join(str(error).split())[:120] or type(error).__name__
            answer = FAILED + f"not a readable HEIC photo: {words}".encode()
        connection.send_bytes(answer)


if __name__ == "__main__":
    main()
