"""A folder of foreign code whose matchers find what SIFT and the lines of the project find."""

from __future__ import annotations

from pathlib import Path

HUBCONF = """
import numpy as np
from vpr.matchers import lines as lines_by_xfeat
from vpr.matchers import sift
from vpr.matchers.base.matching import match_mutually


class Points:
    def __init__(self, ratio):
        self.sift, self.ratio = sift.make_matcher(), ratio

    def match(self, photo_a, photo_b):
        a, b = (self.sift.detect(photo, max_keypoints=1024) for photo in (photo_a, photo_b))
        roots = (sift.root_sift(points.descriptors) for points in (a, b))
        rows = match_mutually(*roots, ratio=self.ratio)
        return a.points[rows[:, 0]], b.points[rows[:, 1]], np.ones(len(rows))


class Lines:
    def __init__(self):
        self.lines = lines_by_xfeat.make_matcher()

    def match(self, photo_a, photo_b):
        a, b = (self.lines.detect(photo, max_keypoints=1024) for photo in (photo_a, photo_b))
        ends = lines_by_xfeat.match_lines(a, b, ratio=1.0)
        first, second = (i.points[r].reshape(-1, 2, 2) for i, r in zip((a, b), ends.T))
        return first, second, np.ones(len(first))


def points(ratio=0.8):
    return Points(ratio)


def lines():
    return Lines()


def nothing():
    return "no matcher"


class Returns:
    def __init__(self, result):
        self.result = result

    def match(self, photo_a, photo_b):
        photo_a[:] = 0  # its own copy
        return eval(self.result)


def returns(result):
    return Returns(result)
"""


def write_foreign_matcher(folder: Path) -> Path:
    """Write it as `folder/code`, and return `folder`."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "hubconf.py").write_text(HUBCONF)
    return folder
