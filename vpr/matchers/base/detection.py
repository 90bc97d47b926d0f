"""Running a matcher over images: image -> points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.console.progress import track
from vpr.images.image_files import Photo, encoded_image
from vpr.images.known_parts import Work, write_parts
from vpr.images.known_photos import KnownPhotos
from vpr.matchers.base.keypoints import NAMES, NO_IMAGES, arrays_of
from vpr.matchers.base.matcher import LocalPoints, Matcher, uses_gpu
from vpr.matchers.base.threads import count_cores, map_on_cores
from vpr.runtime.ordered_map import ordered_map
from vpr.runtime.parts import Arrays

# Noise of 8 levels (standard deviation) reaches a contrast of 8; photos by night reach 70 or more.
BLANK_CONTRAST = 10  # levels of 255
WINDOW_PX = (5, 5)
MOST_AT_ONCE = 8  # images: a network holds up to 1 GB for one of 640 x 480 pixels


def detect_points(
    matcher: Matcher, pixels: NDArray[np.uint8], *, max_keypoints: int
) -> LocalPoints:
    """Find the points of an image; a blank one has none.

    Networks that return the strongest maxima find some in any image, and those of two black frames
    match.

    The pixels are RGB of shape (H, W, 3).
    """
    # Blank images are looked at too: their descriptors have others' type and width, but no row.
    points = matcher.detect(pixels, max_keypoints=max_keypoints)
    if is_blank(pixels):
        return LocalPoints(points.points[:0], points.descriptors[:0], points.size)
    return points


def is_blank(pixels: NDArray[np.uint8]) -> bool:
    """Return whether an image is uniform except for noise and compression.

    The pixels are RGB of shape (H, W, 3). An image is blank if its grey values, averaged over 5 x 5
    pixels, differ within 5 x 5 pixels by less than `BLANK_CONTRAST` everywhere; so is a smooth
    gradient.
    """
    smooth = cv2.blur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), WINDOW_PX)
    contrast = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones(WINDOW_PX, np.uint8))
    return int(contrast.max()) < BLANK_CONTRAST


def store_keypoints(
    folder: Path,
    matcher: Matcher,
    images: Sequence[Photo],
    read: Callable[[Photo], NDArray[np.uint8]],
    *,
    max_keypoints: int,
    known: KnownPhotos,
    digests: Sequence[bytes],
) -> None:
    """Write the keypoints of images, computing those that neither store nor folder have.

    `digests` are those of `write_parts`.
    """

    def compute(new: Sequence[int]) -> Iterator[Arrays]:
        photos = [images[index] for index in new]
        found = detect_keypoints(matcher, photos, read, max_keypoints=max_keypoints)
        return map(arrays_of, found)

    work = Work("keypoints", folder, NAMES, NO_IMAGES, compute)
    write_parts(work, images, known, digests)


def detect_keypoints(
    matcher: Matcher,
    images: Sequence[Photo],
    read: Callable[[Photo], NDArray[np.uint8]],
    *,
    max_keypoints: int,
) -> Iterator[LocalPoints]:
    """Find the keypoints of images, here or over a cluster, see `vpr.runtime.ordered_map`.

    `read` returns the RGB pixels of a file, (H, W, 3).

    Yields:
        Keypoints of each image, in order.
    """
    keypoints = ordered_map(
        make_detector, (matcher, read, max_keypoints), images,
        pack=encoded_image, threads=1, uses_gpu=uses_gpu(matcher),
    )  # fmt: skip
    return track(keypoints, total=len(images), title="keypoints")


def make_detector(
    matcher: Matcher, read: Callable[[Photo], NDArray[np.uint8]], max_keypoints: int
) -> Callable[[Iterable[Photo]], Iterator[LocalPoints]]:
    """Make a function that finds the keypoints of image after image."""
    detect = partial(detect_points, matcher, max_keypoints=max_keypoints)
    at_once = 1 if uses_gpu(matcher) else min(count_cores(), MOST_AT_ONCE)

    def detect_all(images: Iterable[Photo]) -> Iterator[LocalPoints]:
        yield from map_on_cores(detect, map(read, images), at_once=at_once, ahead=2 * at_once)

    return detect_all
