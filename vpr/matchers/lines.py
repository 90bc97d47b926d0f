"""Line segments, each described by a sequence of local descriptors along it.

After the idea of Yoon and Kim, Line as a Visual Sentence, RA-L 2021: a line is a sequence of local
descriptors. Their transformer and its weights are not used: sequences are compared as they are.

A line is stored as points, so that it is kept, drawn and counted as points are: `SAMPLES` rows from
end to end, whose descriptors hold two values more, the line's number in its image and the place
along it. Points that lie on no line have the number `NO_LINE`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vpr.matchers.base.matcher import LocalPoints, Rules
from vpr.matchers.base.matching import choose_mutual
from vpr.matchers.xfeat import DIM, XFeat

SAMPLES = 5
SHORTEST_PX = 8.0
NO_LINE = 0
MOST_LINES = 2048  # the largest number up to which float16 holds every whole one


def find_segments(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find line segments, the longest first.

    Grompone von Gioi et al., LSD: A Line Segment Detector, IPOL 2012; by OpenCV.

    Args:
        pixels: RGB of shape (H, W, 3).

    Returns:
        x, y of one end and of the other in pixels, shape (num_segments, 4).
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    lines = cv2.createLineSegmentDetector().detect(grey)[0]
    if lines is None:
        return np.empty((0, 4), np.float32)
    segments = np.asarray(lines, np.float32).reshape(-1, 4)
    segments = segments.clip(0, np.tile(np.array(grey.shape[::-1]) - 1, 2)).astype(np.float32)
    lengths = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    order = np.argsort(-lengths, kind="stable")
    longest: NDArray[np.float32] = segments[order[lengths[order] >= SHORTEST_PX]]
    return longest


def tag(
    descriptors: NDArray[np.float32], numbers: NDArray[np.int64], along: NDArray[np.int64]
) -> NDArray[np.float16]:
    """Append to each descriptor its line's number and its place on the line, (num_points,) each."""
    columns = np.stack([numbers, along], axis=1)
    return np.concatenate([descriptors, columns], axis=1).astype(np.float16)


def on_lines(points: LocalPoints) -> NDArray[np.bool_]:
    """Return whether each point lies on a line, shape (num_points,)."""
    lies: NDArray[np.bool_] = points.descriptors[:, DIM] != NO_LINE
    return lies


def match_lines(first: LocalPoints, second: LocalPoints, *, ratio: float) -> NDArray[np.int64]:
    """Match lines that are most alike in both directions, read forwards or backwards.

    The similarity of two lines is the mean cosine of samples at the same place, in the more similar
    of both directions; a sample that was not kept counts 0.

    Args:
        first: Lines of one image, and other points, which are ignored.
        second: Lines of the other image.
        ratio: Threshold of the ratio test, see `vpr.matchers.base.matching`.

    Returns:
        Rows of both for the two ends of each match, where both were kept: two views of lines
        without ends obey no geometry. Shape (num_ends, 2).
    """
    (a, rows_a), (b, rows_b) = _sequences(first), _sequences(second)
    forwards, backwards = (
        a.reshape(-1, SAMPLES * DIM) @ order.reshape(-1, SAMPLES * DIM).T / SAMPLES
        for order in (b, b[:, ::-1])
    )
    pairs = choose_mutual(np.maximum(forwards, backwards), ratio=ratio)
    turned = (backwards > forwards)[pairs[:, 0], pairs[:, 1]]
    ends_a, ends_b = rows_a[pairs[:, 0]][:, [0, -1]], rows_b[pairs[:, 1]][:, [0, -1]]
    ends_b[turned] = ends_b[turned][:, ::-1]
    ends = np.stack([ends_a.ravel(), ends_b.ravel()], axis=1)
    return ends[(ends >= 0).all(axis=1)]


def _sequences(points: LocalPoints) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Descriptors (num_lines, SAMPLES, 64) and rows (num_lines, SAMPLES); 0 and -1 if not kept."""
    of_lines = np.flatnonzero(on_lines(points))
    numbers, along = points.descriptors[of_lines, DIM:].astype(np.int64).T
    lines, line = np.unique(numbers, return_inverse=True)
    described = np.zeros((len(lines), SAMPLES, DIM), np.float32)
    rows = np.full((len(lines), SAMPLES), -1)
    described[line, along] = points.descriptors[of_lines, :DIM]
    rows[line, along] = of_lines
    return described, rows


class Lines(XFeat):
    """Lines whose samples XFeat describes."""

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the longest lines of an image.

        At most `max_keypoints` samples are kept; a line has all of its samples or none.

        Returns:
            Descriptors as float16 (num_lines * SAMPLES, 66), line after line.
        """
        segments = find_segments(pixels)[: min(max_keypoints // SAMPLES, MOST_LINES)]
        share = np.linspace(0, 1, SAMPLES, dtype=np.float32)[:, None]
        places = segments[:, None, :2] * (1 - share) + segments[:, None, 2:] * share
        points = places.reshape(-1, 2)
        described = self.describe(pixels, points) if len(points) else np.empty((0, DIM), np.float32)
        numbers = 1 + np.arange(len(segments)).repeat(SAMPLES)
        along = np.tile(np.arange(SAMPLES), len(segments))
        size = pixels.shape[0], pixels.shape[1]
        return LocalPoints(points, tag(described, numbers, along), size)

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match the ends of lines; by default without a ratio test."""
        return match_lines(query, database, ratio=rules.ratio or 1.0)


def make_matcher() -> Lines:
    """Make the matcher with the weights of the package, which is not imported."""
    return Lines("rerank.method = lines")
