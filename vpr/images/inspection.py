"""What an image file is and what a network sees of it, by decoding it once."""

from __future__ import annotations

import ast
import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vpr.images.image_files import (
    SUFFIXES,
    Photo,
    decode,
    encoded_image,
    is_large,
    open_photo,
)
from vpr.images.known_photos import Form
from vpr.images.pixels import UPRIGHT, find_orientation, find_white

CHECKED_SIDE_PX = 2048  # that a JPEG too large to be decoded whole is decoded down to
GREY_PX = 256  # shorter side, at least, of what grey levels are read from
SMALL_PX = 16  # side of the small grey picture
PERCENTILES = (1, 99)  # dead pixels and reflections lie outside
MAX_SAMPLES = 2**16  # pixels that levels are read from


class Inspection(NamedTuple):
    """What an image is, decoded once.

    Args:
        suffix: Suffix of its format, as `.jpg`.
        digest: SHA-256 of the file's bytes.
        size_px: Width and height as stored.
        mode: Pillow's name of the pixel format.
        is_turned: Whether its EXIF data ask for a rotation or mirroring.
        is_large: Whether it is decoded only with a limit to its longer side.
        is_deep: Whether the file has more than 8 bits for each level.
        white: The stored level that is read as 255, where it depends on the image; else None.
        brightest: Largest level of any colour, 0 to 255.
        levels: 1st and 99th percentile of grey, 0 to 255, not rounded to whole levels if the file
            is deep.
        small: Grey picture of 16 x 16 pixels, upright, row after row.
    """

    suffix: str
    digest: bytes
    size_px: tuple[int, int]
    mode: str
    is_turned: bool
    is_large: bool
    is_deep: bool
    white: float | None
    brightest: int
    levels: tuple[float, float]
    small: bytes


def _pack(seen: Inspection) -> bytes:
    return repr(tuple(seen)).encode()


def _unpack(value: bytes) -> Inspection:
    return Inspection(*ast.literal_eval(value.decode()))


INSPECTION = Form(_pack, _unpack)


def check_image(file: Photo) -> str:
    """Decode an image as `read_image` does, and tell the suffix that its format goes by.

    Returns:
        `.jpg`, `.png` or another suffix.

    Raises:
        ValueError: If `read_image` could not read the file.
    """
    return inspect_image(file).suffix


def inspect_image(file: Photo) -> Inspection:
    """Decode an image as `read_image` does, and say what it is.

    Raises:
        ValueError: If `read_image` could not read the file.
    """
    photo = encoded_image(file)
    with open_photo(photo) as image:
        size_px, mode, large, deep = image.size, image.mode, is_large(image), _is_deep(image)
        is_turned = find_orientation(image) in UPRIGHT
        colour = decode(image, scale_to=CHECKED_SIDE_PX if large else None)
        grey = colour.reduce(max(1, min(colour.size) // GREY_PX)).convert("L")
        white = find_white(image)
        stored, factor = (grey, 1.0) if white is None else (image, 255 / white)
        return Inspection(
            SUFFIXES[str(image.format)], hashlib.sha256(photo.content).digest(), size_px, mode,
            is_turned=is_turned, is_large=large, is_deep=deep, white=white,
            brightest=int(np.max(colour.getextrema())),
            levels=_spread(np.asarray(stored), factor),
            small=grey.resize((SMALL_PX, SMALL_PX), Image.Resampling.BICUBIC).tobytes(),
        )  # fmt: skip


def _is_deep(image: Image.Image) -> bool:
    """Return whether a file that is not decoded yet stores levels in more than 8 bits."""
    if image.mode.startswith(("I", "F")):
        return True
    tiles = getattr(image, "tile", None)
    if not tiles:  # of a WebP, which has 8
        return False
    stored = tiles[0].args  # as RGB;16B, of which Pillow keeps 8 bits; of a PPM, its maximum
    if image.format == "PPM" and isinstance(stored, tuple):
        return int(stored[1]) > 255
    return ";16" in str(stored)


def _spread(levels: NDArray[np.generic], factor: float) -> tuple[float, float]:
    """Compute the percentiles of an image's levels, from at most some 65,000 of its pixels."""
    step = max(1, int(np.ceil(np.sqrt(levels.size / MAX_SAMPLES))))
    low, high = np.percentile(levels[::step, ::step].astype(np.float64), PERCENTILES) * factor
    return float(low), float(high)
