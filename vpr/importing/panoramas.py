"""360-degree photos as perspective crops, each with its heading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vpr.images.image_files import read_image
from vpr.importing.collection import Shot, encode_jpeg
from vpr.importing.columns import number
from vpr.importing.sidecars import find_xmp

FIELD_DEG = 90  # of view, of a crop
MOST_SIDE_PX = 1024  # of a crop


@dataclass(frozen=True)
class Crop:
    """A square view into a panorama, level.

    Args:
        file: The panorama, equirectangular and of all directions.
        yaw_deg: Degrees to the right of its middle.
    """

    file: Path
    yaw_deg: float

    def __call__(self) -> bytes:
        """Draw it as a JPEG."""
        return encode_jpeg(draw_crop(_load(self.file), yaw_deg=self.yaw_deg))


def draw_crop(panorama: NDArray[np.uint8], *, yaw_deg: float) -> NDArray[np.uint8]:
    """Draw the perspective view of a panorama in a level direction.

    Args:
        panorama: Equirectangular: columns are longitudes, the middle one straight ahead, shape
            (H, 2 H, 3).
        yaw_deg: Direction of view, in degrees to the right of the middle.

    Returns:
        Shape (S, S, 3), where S is a quarter of the panorama's width, at most 1024.
    """
    width = panorama.shape[1]
    side = min(width * FIELD_DEG // 360, MOST_SIDE_PX)
    if side * 360 < width * FIELD_DEG:  # scaled down before, or pixels between would be skipped
        width = side * 360 // FIELD_DEG
        panorama = np.asarray(
            cv2.resize(panorama, (width, width // 2), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    height = panorama.shape[0]
    half = np.tan(np.radians(FIELD_DEG / 2))
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * half
    right, down = np.meshgrid(steps, steps)  # of a plane one unit ahead
    longitude = np.arctan2(right, 1.0) + np.radians(yaw_deg)
    latitude = np.arctan2(down, np.hypot(right, 1.0))
    columns = (longitude / (2 * np.pi) + 0.5) % 1 * width - 0.5
    rows = (latitude / np.pi + 0.5) * height - 0.5
    wrapped = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)
    return np.asarray(
        cv2.remap(
            wrapped, (columns + 1).astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )  # fmt: skip


def find_middle(image: Image.Image) -> float | None:
    """Find where the middle of a 360-degree photo looks, by its header.

    Returns:
        Degrees clockwise from true north, NaN where the header does not tell them; None for any
        other photo.
    """
    xmp = image.info.get("xmp", b"")
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp)
    kind, heading, full, cropped = (
        find_xmp(text, f"GPano:{name}")
        for name in (
            "ProjectionType", "PoseHeadingDegrees", "FullPanoWidthPixels",
            "CroppedAreaImageWidthPixels",
        )
    )  # fmt: skip
    is_whole = None in (full, cropped) or full == cropped
    if kind != "equirectangular" or not is_whole or image.width != 2 * image.height:
        return None
    return number(heading) % 360


def crop_shots(panorama: Shot, *, count: int, heading: float | None) -> Iterator[Shot]:
    """Make the crops of a panorama.

    Args:
        panorama: Its content is a file.
        count: Number of crops, evenly around.
        heading: Of its middle, in degrees clockwise from true north.
    """
    path = PurePosixPath(panorama.name)
    for turn in range(count):
        yaw_deg = 360 / count * turn
        yield replace(
            panorama,
            name=f"{path.with_suffix('')}-{yaw_deg:03.0f}.jpg",
            content=Crop(panorama.file, yaw_deg),
            heading=None if heading is None else (heading + yaw_deg) % 360,
        )


@lru_cache(maxsize=1)
def _load(file: Path) -> NDArray[np.uint8]:
    """Decode a panorama, whose crops are drawn one after another."""
    return read_image(file, scale_to=None)
