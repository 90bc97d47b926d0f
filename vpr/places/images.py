"""Image files: listing, checking and decoding them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp",
            "MPO": ".jpg", "PPM": ".ppm"}  # fmt: skip
FORMATS = [name for name in SUFFIXES if name != "MPO"]  # Pillow finds those by JPEG
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
ORIENTATION = 0x0112


def list_images(folder: Path) -> list[Path]:
    """The images of a folder of numbered images, in order.

    Raises:
        ValueError: If the names do not count 000000, 000001, ...
    """
    files = sorted(folder.iterdir())
    for number, file in enumerate(files):
        if file.stem != f"{number:06d}":
            raise ValueError(f"{folder}: expected an image {number:06d}, found {file.name}")
    if not files:
        raise ValueError(f"{folder}: holds no images")
    return files


def check_image(file: Path) -> str:
    """Decode an image fully, and tell the suffix that its format goes by.

    Returns:
        `.jpg`, `.png` or another suffix.

    Raises:
        ValueError: If the file is no still image that decodes to the end.
    """
    with _opened(file) as image:
        image.load()
        return SUFFIXES[str(image.format)]


def read_size(file: Path, *, max_side_px: int | None) -> tuple[int, int]:
    """Height and width in pixels that `read_image` gives, from the file's header alone."""
    with _opened(file) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION) in TURNED:
            width, height = height, width
    return _scaled(height, width, max_side_px)


def read_image(file: Path, *, max_side_px: int | None) -> NDArray[np.uint8]:
    """Decode an image to RGB.

    A rotation in the EXIF data is applied. Greyscale, palette and CMYK images are converted,
    16-bit greyscale is scaled to 8, and transparency is dropped: the colour below it shows.

    Args:
        file: The image.
        max_side_px: Larger images are scaled down, with antialiasing, so that the longer side has
            this length; None: images stay as they are.

    Returns:
        Shape (H, W, 3).

    Raises:
        ValueError: If the file is no still image that decodes to the end.
    """
    with _opened(file) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            scaled = np.asarray(upright, dtype=np.float64) / 257
            upright = Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))
        colour = upright.convert("RGB")
    height, width = _scaled(colour.height, colour.width, max_side_px)
    if (width, height) != colour.size:
        colour = colour.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(colour)


def _scaled(height: int, width: int, max_side_px: int | None) -> tuple[int, int]:
    longer = max(height, width)
    if max_side_px is None or longer <= max_side_px:
        return height, width
    factor = max_side_px / longer
    return max(1, round(height * factor)), max(1, round(width * factor))


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """An image whose decoding errors all become one ValueError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                    raise ValueError("it has several frames; expected a still image")
                yield image
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{file}: too large to be a photo: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"{file}: not a readable image (damaged or cut off?): {error}") from None
