"""A process that decodes photos: damaged ones may kill it or be cut off, and no other suffers.

`python -m vpr.commands.serve.decoder CONNECTION PIXELS`; CONNECTION is the number of an inherited
connection, on which photos come. The answer to each is the photo upright and in RGB (PPM), of
which `read_image` makes the pixels that it would make of the photo, or why it was not decoded.
"""

from __future__ import annotations

import resource
import sys
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

from vpr.images.image_files import EncodedImage, read_image, read_size

DECODED = b"P6\n"  # begins a photo; no sentence begins so
LETTERS = 300  # of an error, at most
BYTES_PER_PIXEL = 64  # that decoding may take, copies in float64 included
BYTES_OF_PYTHON = 2**32  # of addresses, libraries and the stacks of their threads included


def decode(content: bytes, *, max_pixels: int) -> bytes:
    """Decode a photo.

    Args:
        content: Its file.
        max_pixels: Largest number of pixels that is decoded.

    Returns:
        A PPM, or a sentence in UTF-8.
    """
    photo = EncodedImage(Path("the photo"), content)
    try:
        height, width = read_size(photo, scale_to=None)
        if height * width > max_pixels:
            words = f"it has {width} x {height} pixels, at most {max_pixels:,} are accepted"
            return words.encode()
        pixels = read_image(photo, scale_to=None)
    except MemoryError:
        return b"not a readable image: it takes too much memory"
    except (ValueError, OSError) as error:
        words = str(error).removeprefix(f"{photo}: ")
        return " ".join(words.split())[:LETTERS].encode()
    return DECODED + b"%d %d\n255\n" % (width, height) + pixels.tobytes()


def main() -> None:
    """Decode until the other end of the connection is closed."""
    connection, max_pixels = Connection(int(sys.argv[1])), int(sys.argv[2])
    most = BYTES_OF_PYTHON + BYTES_PER_PIXEL * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("ignore")
    while True:
        try:
            content = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(decode(content, max_pixels=max_pixels))


if __name__ == "__main__":
    main()
