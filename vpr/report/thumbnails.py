"""Small pictures of a side's images, for the pages to look at."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from vpr.places.images import Photo, read_image
from vpr.runtime.progress import track

NUM_THREADS = 4  # decoding and encoding release the interpreter


def draw_thumbnails(
    images: Sequence[Photo], folder: Path, *, max_side_px: int, quality: int
) -> None:
    """Write a small JPEG of each image, `000000.jpg`, `000001.jpg`, ...

    Pictures carry no metadata: where a phone stood is not passed on with its page.

    Args:
        images: The images in order; turned and converted as the network sees them.
        folder: The folder to create.
        max_side_px: Longer side of a picture; smaller images keep their size.
        quality: Of the JPEG.

    Raises:
        ValueError: If an image does not decode; the message names it.
    """
    folder.mkdir(parents=True)
    draw = partial(draw_thumbnail, max_side_px=max_side_px, quality=quality)
    targets = [folder / thumbnail_name(number) for number in range(len(images))]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        done = pool.map(draw, images, targets)
        for _ in track(done, total=len(images), title=f"thumbnails of {folder.name}"):
            pass


def draw_thumbnail(image: Photo, target: Path, *, max_side_px: int, quality: int) -> None:
    """Write a small JPEG of one image."""
    pixels = read_image(image, scale_to=max_side_px)
    Image.fromarray(pixels).save(target, "JPEG", quality=quality)


def thumbnail_name(number: int) -> str:
    """File name of an image's small picture."""
    return f"{number:06d}.jpg"
