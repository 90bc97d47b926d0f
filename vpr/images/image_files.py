"""Image files: listing and decoding them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vpr.images.file_kinds import NUM_BYTES, READ, describe_unread, is_junk
from vpr.images.pixels import ScaleTo, find_orientation, scaled_size, to_upright_rgb
from vpr.images.shards import SUFFIX, Member, list_members

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp",
            "MPO": ".jpg", "PPM": ".ppm"}  # fmt: skip
FORMATS = [name for name in SUFFIXES if name != "MPO"]  # Pillow finds those by JPEG
MAX_PIXELS = 89_478_485  # decoded at full size, Pillow's own limit: 268 MB of RGB
MAX_JPEG_PIXELS = 2**28  # a JPEG above MAX_PIXELS is decoded at 1/2, 1/4 or 1/8 of its size
Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS  # Pillow knows one limit for all; `open_photo` has ours


class EncodedImage(NamedTuple):
    """An image file in memory.

    Args:
        path: Path of the file, for messages.
        content: Bytes of the file.
    """

    path: Path
    content: bytes

    def __str__(self) -> str:
        """Name the file."""
        return str(self.path)


Photo = Path | Member | EncodedImage  # an image file: in a folder, in a tar shard, in memory


def encoded_image(photo: Photo) -> EncodedImage:
    """Read the bytes of an image file, so that it can be decoded on another machine."""
    if isinstance(photo, EncodedImage):
        return photo
    with _bytes_of(photo) as stream:
        return EncodedImage(path_of(photo), stream.read())


def count_bytes(photo: Photo) -> int:
    """Count the bytes of an image file, without reading it."""
    if isinstance(photo, Member):
        return photo.num_bytes
    return len(photo.content) if isinstance(photo, EncodedImage) else photo.stat().st_size


def path_of(photo: Photo) -> Path:
    """Give the path of an image file, of one in a shard as if the shard were a folder."""
    return photo if isinstance(photo, Path) else photo.path


def list_images(folder: Path) -> list[Photo]:
    """List the images of a folder of numbered images, or of tar shards of them, in order.

    Raises:
        ValueError: If the names do not count 000000, 000001, ..., or a shard is damaged.
    """
    names = (file.name for file in folder.iterdir() if not is_junk(Path(file.name)))
    images: list[Photo] = []
    for name in sorted(names, key=lambda name: (len(Path(name).stem), name)):  # past 999999 too
        images += list_members(folder / name) if name.endswith(SUFFIX) else [folder / name]
    require_numbered(folder, images, start=0)
    return images


def require_numbered(folder: Path, images: Sequence[Photo], *, start: int) -> None:
    """Check that the names of images count on from a number, and that there is an image.

    Raises:
        ValueError: If they do not; it names the first that does not.
    """
    for number, image in enumerate(images, start):
        if path_of(image).stem != f"{number:06d}":
            found = path_of(image).relative_to(folder)
            raise ValueError(f"{folder}: expected an image {number:06d}, found {found}")
    if not images:
        raise ValueError(f"{folder}: holds no images")


def read_size(file: Photo, *, scale_to: ScaleTo) -> tuple[int, int]:
    """Height and width in pixels of the image that `read_image` returns, from its header only."""
    with open_photo(file) as image:
        return scaled_size(image.size, find_orientation(image), scale_to)


def read_image(file: Photo, *, scale_to: ScaleTo) -> NDArray[np.uint8]:
    """Decode an image to RGB.

    A rotation in the EXIF data is applied. Greyscale, palette and CMYK images are converted, 16-bit
    greyscale is scaled to 8, numbers of 32 bits by the scale that they fill, and transparency is
    dropped: the colour below it shows.

    Args:
        file: The image.
        scale_to: Size to scale to, with antialiasing, as `scaled_size` takes it; None: images stay
            as they are.

    Returns:
        Shape (H, W, 3).

    Raises:
        ValueError: If the file is not a still image that decodes to the end, or it is too large to
            be decoded without `scale_to`.
    """
    with open_photo(file) as image:
        if scale_to is None and is_large(image):
            raise ValueError(
                f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: set "
                "trunk.max_side_px or trunk.image_size to scale it down"
            )
        return np.asarray(decode(image, scale_to))


def decode(image: Image.Image, scale_to: ScaleTo) -> Image.Image:
    """Upright RGB of the size that `read_size` gives."""
    stored_px = image.size
    if scale_to is not None and is_large(image):
        side = max(scale_to) if isinstance(scale_to, tuple) else scale_to
        image.draft(None, (side, side))
    image.load()  # before the EXIF data, which a PNG may have at its end
    height, width = scaled_size(stored_px, find_orientation(image), scale_to)
    colour = to_upright_rgb(image)
    if (width, height) != colour.size:
        colour = colour.resize((width, height), Image.Resampling.LANCZOS)
    return colour


def is_large(image: Image.Image) -> bool:
    """Return whether an image is decoded only with a limit to its longer side."""
    return image.width * image.height > MAX_PIXELS


@contextmanager
def open_photo(source: Photo) -> Iterator[Image.Image]:
    """Open an image so that all decoding errors become one ValueError that names the file."""
    file = path_of(source)
    try:
        with _bytes_of(source) as stream, Image.open(stream, formats=FORMATS) as image:
            limit = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
            if image.width * image.height > limit:
                raise Image.DecompressionBombError(
                    f"{image.width} x {image.height} pixels; at most {limit:,} are decoded from a "
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
        with _bytes_of(source) as stream:
            words = (
                describe_unread(stream.read(NUM_BYTES)) or f"damaged, cut off, or not one of {READ}"
            )
        raise ValueError(f"{file}: not a readable image: {words}") from None
    except Exception as error:  # damaged bytes raise many kinds in Pillow's decoders
        doubt = "as it is" if isinstance(error, ValueError) else "(damaged or cut off?)"
        raise ValueError(f"{file}: not a readable image {doubt}: {error}") from None


def _bytes_of(source: Photo) -> IO[bytes]:
    if isinstance(source, Member):
        return source.open()
    return BytesIO(source.content) if isinstance(source, EncodedImage) else source.open("rb")
