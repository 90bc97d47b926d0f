"""Running a matcher over images: image -> keypoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.console.progress import track
from vpr.images.image_files import Photo, encoded_image
from vpr.matchers.base.matcher import LocalPoints, Matcher, uses_gpu
from vpr.runtime.ordered_map import ordered_map


def detect_keypoints(
    matcher: Matcher,
    images: Sequence[Photo],
    read: Callable[[Photo], NDArray[np.uint8]],
    *,
    max_keypoints: int,
) -> Iterator[LocalPoints]:
    """Find the keypoints of images, here or over a cluster, see `vpr.runtime.ordered_map`.

    Args:
        matcher: Finds those of one image.
        images: The files.
        read: Reads a file as RGB of shape (H, W, 3).
        max_keypoints: How many to keep of each.

    Yields:
        Those of each image, in order.
    """
    found = ordered_map(
        make_detector, (matcher, read, max_keypoints), images,
        pack=encoded_image, uses_gpu=uses_gpu(matcher),
    )  # fmt: skip
    yield from track(found, total=len(images), title="keypoints")


def make_detector(
    matcher: Matcher, read: Callable[[Photo], NDArray[np.uint8]], max_keypoints: int
) -> Callable[[Iterable[Photo]], Iterator[LocalPoints]]:
    """Make what finds the keypoints of image after image."""

    def detect(images: Iterable[Photo]) -> Iterator[LocalPoints]:
        for image in images:
            yield matcher.detect(read(image), max_keypoints=max_keypoints)

    return detect
