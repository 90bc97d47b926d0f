"""Pixels as a person sees them: upright, RGB of 8 bits, and of which size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112
UPRIGHT = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
BITS_PER_SAMPLE = 258  # tag of a TIFF
TURNED = (5, 6, 7, 8)  # orientations that swap width and height
MAX_WORD = 65_535  # white in 16 bits
SCALES = {"I": (255, MAX_WORD), "F": (1, 255, MAX_WORD)}  # 32 bits do not say what they fill
ScaleTo = int | tuple[int, int] | None  # see `scaled_size`
DARKEST = 16  # no scale is taken of which the brightest pixel reaches less than 1/16


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Turn decoded pixels by their EXIF orientation, and make them RGB of 8 bits.

    Args:
        image: An image of any mode, opened from a file and decoded.

    Raises:
        ValueError: If the levels do not say what is white, or the mode has no colours.
    """
    turn, white = UPRIGHT.get(find_orientation(image)), find_white(image)
    upright = image if turn is None else image.transpose(turn)
    if white is not None:
        upright = Image.fromarray(_to_bytes(np.asarray(upright), white))
    upright.info.pop("transparency", None)  # Pillow warns of what is dropped
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def find_white(image: Image.Image) -> int | None:
    """Find the level of greyscale of more than 8 bits that is read as white.

    It is what the file states: the largest level that its samples can hold, 4095 in a TIFF of 12
    bits; Pillow scales a PPM's own maximum to 65535. Samples of 32 bits state nothing: there it is
    the first of `SCALES` that holds the brightest level.

    Args:
        image: An image of any mode, opened from a file and decoded.

    Returns:
        The level; None for an image of 8 bits or of colours, which Pillow scales.

    Raises:
        ValueError: If the levels do not say what is white.
    """
    if not image.mode.startswith(("I", "F")):
        return None
    if image.mode not in SCALES or (image.format == "PPM" and image.mode == "I"):
        return _stored_white(image)
    levels, scales = np.asarray(image), SCALES[image.mode]
    lowest, highest = float(levels.min()), float(levels.max())
    white = next((scale for scale in scales if highest <= scale), None)
    is_dark = white != scales[0] and white is not None and highest < white / DARKEST
    if white is None or lowest < 0 or is_dark:
        fills = " or ".join(f"0 to {scale}" for scale in scales)
        raise ValueError(
            f"its levels are {lowest:g} to {highest:g}, so its white level is unknown: "
            f"rescale its levels to fill {fills}"
        )
    return white


def _stored_white(image: Image.Image) -> int:
    """Find the largest level that a file's samples can hold."""
    bits = (
        getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
        if image.format == "TIFF"
        else (16,)
    )
    return int(2 ** int(bits[0]) - 1)


def find_orientation(image: Image.Image) -> int:
    """Find EXIF orientation of the pixels that Pillow gives; 1 is upright."""
    if image.format == "TIFF":  # Pillow gives pixels and size upright already
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (
        Exception
    ):  # damaged EXIF raises many kinds; it holds no orientation, the pixels are whole
        return 1
    return found if isinstance(found, int) else 1


def scaled_size(stored_px: tuple[int, int], orientation: int, scale_to: ScaleTo) -> tuple[int, int]:
    """Height and width of an image, upright and scaled.

    Args:
        stored_px: Width and height as stored.
        orientation: EXIF orientation.
        scale_to: Largest length of the longer side, to which larger images are scaled down; or
            height and width that every image gets, whatever its proportions; or None.
    """
    width, height = stored_px
    if orientation in TURNED:
        width, height = height, width
    if isinstance(scale_to, tuple):
        return scale_to
    longer = max(height, width)
    if scale_to is None or longer <= scale_to:
        return height, width
    factor = scale_to / longer
    return max(1, round(height * factor)), max(1, round(width * factor))


def _to_bytes(levels: NDArray[np.generic], white: int) -> NDArray[np.uint8]:
    """Convert greyscale of more than 8 bits as 8 bits, shape (H, W)."""
    values = np.asarray(levels, dtype=np.float64)
    return (values * 255 / white).round().clip(0, 255).astype(np.uint8)
