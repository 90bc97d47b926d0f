"""Small pictures of a side's images, for the pages to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from vpr.console.progress import track
from vpr.images.image_files import Photo, read_image
from vpr.images.known_photos import UNKNOWN, Form, KnownPhotos
from vpr.images.known_shards import write_files
from vpr.images.shards import Member
from vpr.runtime.ordered_map import map_ahead

NUM_THREADS = 4  # decoding and encoding release the interpreter


def draw_thumbnails(
    images: Sequence[Photo],
    folder: Path,
    *,
    max_side_px: int,
    quality: int,
    known: KnownPhotos = UNKNOWN,
) -> None:
    """Write a small JPEG of each image, `000000.jpg`, `000001.jpg`, ...

    Pictures carry no metadata: where a phone stood is not passed on with its page. Those of images
    in tar shards are packed into shards too.

    Args:
        images: The images in order; turned and converted as the network sees them.
        folder: The folder to create.
        max_side_px: Longer side of a picture; smaller images keep their size.
        quality: Quality of the JPEG.
        known: Pictures that are not drawn again.

    Raises:
        ValueError: If an image does not decode; the message names it.
    """
    folder.mkdir(parents=True)
    draw = partial(draw_thumbnail, max_side_px=max_side_px, quality=quality)

    def compute(new: Sequence[int]) -> Iterator[bytes]:
        drawn = map_ahead(
            draw, (images[index] for index in new), threads=NUM_THREADS, ahead=2 * NUM_THREADS
        )
        return track(drawn, total=len(new), title=f"thumbnails of {folder.name}")

    pictures = known.look_up(f"thumbnails of {folder.name}", images, compute, Form(bytes, bytes))
    names = map(thumbnail_name, range(len(images)))
    in_shards = isinstance(images[0], Member)
    files = zip(names, pictures, strict=True)
    write_files(folder, files, in_shards=in_shards, known=known)


def draw_thumbnail(image: Photo, *, max_side_px: int, quality: int) -> bytes:
    """Draw a small JPEG of one image."""
    stream = BytesIO()
    pixels = read_image(image, scale_to=max_side_px)
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def thumbnail_name(number: int) -> str:
    """File name of an image's small picture."""
    return f"{number:06d}.jpg"
