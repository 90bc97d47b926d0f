"""A process that decodes photos: damaged ones may kill it or be cut off, and no other suffers.

`python -m vpr.commands.serve.photos.decoder SOCKET PIXELS`; SOCKET is the number of an
inherited socket of packets. Each packet brings two files: a photo, and one to write it to as
upright RGB (PPM), of which `read_image` makes the pixels that it would make of the photo.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import warnings
from typing import Any

from vpr.commands.serve.photos.memory_files import path_of
from vpr.images.image_files import read_image, read_size

PACKET = 4096  # bytes of an answer, at most
LETTERS = 300  # of an error, at most
BYTES_PER_PIXEL = 64  # that decoding may take, copies in float64 included
BYTES_OF_PYTHON = 2**32  # of addresses, libraries and the stacks of their threads included


def decode(source: int, target: int, *, max_pixels: int) -> dict[str, Any]:
    """Decode a photo from one file to the other.

    Args:
        source: Number of the file that holds it.
        target: Number of an empty file.
        max_pixels: Largest number of pixels that is decoded.

    Returns:
        `size`, its height and width in pixels; or `error`, why it was not decoded.
    """
    photo = path_of(source)
    try:
        height, width = read_size(photo, scale_to=None)
        if height * width > max_pixels:
            return {"error": f"it has {width} x {height} pixels, at most {max_pixels:,} are taken"}
        pixels = read_image(photo, scale_to=None)
    except MemoryError:
        return {"error": "not a readable image: it takes too much memory"}
    except (ValueError, OSError) as error:
        return {"error": str(error).removeprefix(f"{photo}: ").replace(str(photo), "the photo")}
    with open(target, "wb", closefd=False) as file:
        file.write(b"P6\n%d %d\n255\n" % (width, height))
        file.write(pixels.tobytes())
    return {"size": [height, width]}


def main() -> None:
    """Decode until the other end of the socket is closed."""
    channel, max_pixels = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    most = BYTES_OF_PYTHON + BYTES_PER_PIXEL * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("ignore")
    while True:
        packet, files, _, _ = socket.recv_fds(channel, 1, 2)
        if not packet:
            return
        try:
            answer = decode(*files, max_pixels=max_pixels)
        finally:
            for file in files:
                os.close(file)
        answer = {name: " ".join(of.split())[:LETTERS] if name == "error" else of
                  for name, of in answer.items()}  # fmt: skip
        channel.sendall(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
