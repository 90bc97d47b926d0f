"""Image files: listing, checking and decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vpr.places.file_kinds import READ, is_junk, tell_unread

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp",
            "MPO": ".jpg", "PPM": ".ppm"}  # fmt: skip
FORMATS = [name for name in SUFFIXES if name != "MPO"]  # Pillow finds those by JPEG
ORIENTATION = 0x0112
UPRIGHT = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
TURNED = (5, 6, 7, 8)  # orientations that swap width and height
MAX_PIXELS = 89_478_485  # decoded at full size, Pillow's own limit: 268 MB of RGB
MAX_JPEG_PIXELS = 2**28  # a JPEG above MAX_PIXELS is decoded at 1/2, 1/4 or 1/8 of its size
Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS  # Pillow knows one limit for all; `_opened` has ours
CHECKED_SIDE_PX = 2048  # that such a JPEG is decoded down to when it is only checked
DARKEST = 16  # no scale is taken of which the brightest pixel reaches less than 1/16


class Header(NamedTuple):
    """What an image's file says before it is decoded.

    Args:
        width_px: As stored.
        height_px: As stored.
        mode: Pillow's name of the pixel format.
        is_turned: Whether its EXIF data ask for a rotation or mirroring.
        is_large: Whether it is decoded only with a limit to its longer side.
    """

    width_px: int
    height_px: int
    mode: str
    is_turned: bool
    is_large: bool


def list_images(folder: Path) -> list[Path]:
    """The images of a folder of numbered images, in order.

    Raises:
        ValueError: If the names do not count 000000, 000001, ...
    """
    files = sorted(file for file in folder.iterdir() if not is_junk(Path(file.name)))
    for number, file in enumerate(files):
        if file.stem != f"{number:06d}":
            raise ValueError(f"{folder}: expected an image {number:06d}, found {file.name}")
    if not files:
        raise ValueError(f"{folder}: holds no images")
    return files


def check_image(file: Path) -> str:
    """Decode an image as `read_image` does, and tell the suffix that its format goes by.

    Returns:
        `.jpg`, `.png` or another suffix.

    Raises:
        ValueError: If `read_image` could not read the file.
    """
    with _opened(file) as image:
        suffix = SUFFIXES[str(image.format)]
        _decode(image, max_side_px=CHECKED_SIDE_PX if _is_large(image) else None)
    return suffix


def read_header(file: Path) -> Header:
    """Say what an image is from its file's header alone."""
    with _opened(file) as image:
        turned = _orientation(image) in UPRIGHT
        return Header(*image.size, image.mode, turned, _is_large(image))


def read_size(file: Path, *, max_side_px: int | None) -> tuple[int, int]:
    """Height and width in pixels that `read_image` gives, from the file's header alone."""
    with _opened(file) as image:
        return _scaled_size(image.size, _orientation(image), max_side_px)


def read_image(file: Path, *, max_side_px: int | None) -> NDArray[np.uint8]:
    """Decode an image to RGB.

    A rotation in the EXIF data is applied. Greyscale, palette and CMYK images are converted,
    16-bit greyscale is scaled to 8, numbers of 32 bits by the scale that they fill, and
    transparency is dropped: the colour below it shows.

    Args:
        file: The image.
        max_side_px: Larger images are scaled down, with antialiasing, so that the longer side has
            this length; None: images stay as they are.

    Returns:
        Shape (H, W, 3).

    Raises:
        ValueError: If the file is no still image that decodes to the end, or it is too large to
            be decoded without `max_side_px`.
    """
    with _opened(file) as image:
        if max_side_px is None and _is_large(image):
            raise ValueError(
                f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: set "
                "trunk.max_side_px, to which it is scaled down"
            )
        return np.asarray(_decode(image, max_side_px))


def _decode(image: Image.Image, max_side_px: int | None) -> Image.Image:
    """Upright RGB of the size that `_scaled_size` gives."""
    stored_px = image.size
    if max_side_px is not None and _is_large(image):
        image.draft(None, (max_side_px, max_side_px))
    image.load()  # before the EXIF data, which a PNG may have at its end
    orientation = _orientation(image)
    height, width = _scaled_size(stored_px, orientation, max_side_px)
    turn = UPRIGHT.get(orientation)
    upright = image if turn is None else image.transpose(turn)
    if upright.mode.startswith(("I", "F")):
        upright = Image.fromarray(_to_bytes(np.asarray(upright), upright.mode))
    colour = upright.convert("RGB")
    if (width, height) != colour.size:
        colour = colour.resize((width, height), Image.Resampling.LANCZOS)
    return colour


def _to_bytes(levels: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    """Greyscale of more than 8 bits as 8 bits, shape (H, W).

    Numbers of 16 bits fill 0 to 65535. Those of 32 bits and fractions do not say what they fill:
    it is 0 to 1 (fractions alone), 255 or 65535, the first that holds the brightest.
    """
    values = np.asarray(levels, dtype=np.float64)
    lowest, highest = values.min(), values.max()
    scales = {"I": (255, 65_535), "F": (1, 255, 65_535)}.get(mode, (65_535,))
    scale = next((one for one in scales if highest <= one), None)
    is_known = scale is not None and (lowest >= 0 or mode not in ("I", "F"))
    if scale is None or not is_known or (scale > scales[0] and highest < scale / DARKEST):
        fills = " or ".join(f"0 to {one}" for one in scales)
        raise ValueError(
            f"its levels are {lowest:g} to {highest:g}, and what is white cannot be told: write "
            f"it with levels that fill {fills}"
        )
    return (values * 255 / scale).round().clip(0, 255).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation of the pixels that Pillow gives; 1 is upright."""
    if image.format == "TIFF":  # Pillow gives pixels and size upright already
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (
        Exception
    ):  # damaged EXIF raises many kinds; it holds no orientation, the pixels are whole
        return 1
    return found if isinstance(found, int) else 1


def _scaled_size(
    stored_px: tuple[int, int], orientation: int, max_side_px: int | None
) -> tuple[int, int]:
    """Height and width, upright and scaled down."""
    width, height = stored_px
    if orientation in TURNED:
        width, height = height, width
    longer = max(height, width)
    if max_side_px is None or longer <= max_side_px:
        return height, width
    factor = max_side_px / longer
    return max(1, round(height * factor)), max(1, round(width * factor))


def _is_large(image: Image.Image) -> bool:
    return image.width * image.height > MAX_PIXELS


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """An image whose decoding errors all become one ValueError that names the file."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            limit = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
            if image.width * image.height > limit:
                raise Image.DecompressionBombError(
                    f"{image.width} x {image.height} pixels, at most {limit:,} are decoded of a "
                    f"{image.format}"
                )
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise ValueError("it has several frames; expected a still image")
            yield image
    except (FileNotFoundError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{file}: too large to be a photo: {error}") from None
    except UnidentifiedImageError:
        words = tell_unread(file) or f"damaged, cut off, or none of {READ}"
        raise ValueError(f"{file}: not a readable image: {words}") from None
    except Exception as error:  # damaged bytes raise many kinds in Pillow's decoders
        doubt = "as it is" if isinstance(error, ValueError) else "(damaged or cut off?)"
        raise ValueError(f"{file}: not a readable image {doubt}: {error}") from None
