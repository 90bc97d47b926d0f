"""Lines are matched as a plain loop would match them, and any picture is borne."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pictures import texture
from vpr.matchers import lines, points_and_lines
from vpr.matchers.base.matcher import LocalPoints, Matcher, Rules
from vpr.matchers.lines import DIM, SAMPLES, SHORTEST_PX, Lines, find_segments, match_lines, tag
from vpr.matchers.xfeat import XFeat

RULES = Rules(None, "fundamental", 2.0)
Views = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def network() -> Lines:
    return Lines("test")


@pytest.fixture(scope="module", params=[lines, points_and_lines])
def matcher(request: pytest.FixtureRequest) -> Matcher:
    made: Matcher = request.param.make_matcher()
    return made


def draw_lines(seed: int, num_lines: int, num_points: int = 3) -> LocalPoints:
    """Random points, then random lines; some samples were not kept."""
    rng = np.random.default_rng(seed)
    count = num_points + num_lines * SAMPLES
    rows = rng.normal(size=(count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    numbers = np.array([0] * num_points + [1 + n for n in range(num_lines) for _ in range(SAMPLES)])
    along = np.array([0] * num_points + [*range(SAMPLES)] * num_lines)
    kept = rng.random(count) > 0.15
    points = rng.uniform(0, 90, (count, 2)).astype(np.float32)
    return LocalPoints(points[kept], tag(rows, numbers, along)[kept], (100, 100))


def noisy_and_turned(lines: LocalPoints) -> LocalPoints:
    """The same lines a little different, every second one read from its other end."""
    rows = lines.descriptors.astype(np.float32)
    odd = rows[:, DIM] % 2 == 1
    rows[odd, DIM + 1] = SAMPLES - 1 - rows[odd, DIM + 1]
    rows[:, :DIM] += np.random.default_rng(9).normal(0, 0.05, (len(rows), DIM))
    return LocalPoints(lines.points, rows.astype(np.float16), lines.size)


def read_lines(points: LocalPoints) -> dict[int, dict[int, tuple[int, NDArray[np.float64]]]]:
    """Row and descriptor by line and place along it."""
    found: dict[int, dict[int, tuple[int, NDArray[np.float64]]]] = {}
    for row, values in enumerate(points.descriptors.astype(np.float64)):
        if values[DIM]:
            found.setdefault(int(values[DIM]), {})[int(values[DIM + 1])] = (row, values[:DIM])
    return found


def match_slowly(first: LocalPoints, second: LocalPoints) -> Iterator[list[int]]:
    """Ends of lines that are each other's most alike, sum by sum."""
    a, b = read_lines(first), read_lines(second)
    last = SAMPLES - 1
    likeness = {
        (i, j, turned): sum(
            float(one @ b[j][last - at if turned else at][1])
            for at, (_, one) in a[i].items()
            if (last - at if turned else at) in b[j]
        )
        for i in a for j in b for turned in (False, True)
    }  # fmt: skip
    best = {(i, j): max(likeness[i, j, False], likeness[i, j, True]) for i in a for j in b}
    for i in a:
        j = max(b, key=lambda other: best[i, other])
        if max(a, key=lambda other: best[other, j]) != i:
            continue
        turned = likeness[i, j, True] > likeness[i, j, False]
        for at in (0, last):
            there = last - at if turned else at
            if at in a[i] and there in b[j]:
                yield [a[i][at][0], b[j][there][0]]


@pytest.mark.parametrize("seed", range(3))
def test_lines_match_as_in_a_plain_loop_even_turned_and_with_samples_dropped(seed: int) -> None:
    first = draw_lines(seed, num_lines=12)
    for second in (draw_lines(seed + 50, num_lines=9), noisy_and_turned(first)):
        expected = list(match_slowly(first, second))
        assert len(expected) > 2
        assert match_lines(first, second, ratio=1.0).tolist() == expected


def test_lines_of_two_views_match_as_in_a_plain_loop(network: Lines, views: Views) -> None:
    first, second = (network.detect(one, max_keypoints=300) for one in views)
    expected = list(match_slowly(first, second))
    assert len(expected) > 20
    assert match_lines(first, second, ratio=1.0).tolist() == expected


def test_a_line_read_from_its_other_end_matches_with_its_ends_swapped() -> None:
    one = draw_lines(0, num_lines=1, num_points=0)
    whole = LocalPoints(np.zeros((SAMPLES, 2), np.float32), np.eye(SAMPLES, DIM + 2), one.size)
    rows = whole.descriptors.astype(np.float16)
    rows[:, DIM], rows[:, DIM + 1] = 1, range(SAMPLES)
    forwards = LocalPoints(whole.points, rows, one.size)
    turned = rows.copy()
    turned[:, DIM + 1] = range(SAMPLES)[::-1]
    backwards = LocalPoints(whole.points, turned, one.size)
    assert match_lines(forwards, backwards, ratio=1.0).tolist() == [[0, 0], [4, 4]]
    assert match_lines(forwards, forwards, ratio=1.0).tolist() == [[0, 0], [4, 4]]


def test_the_edges_of_a_drawn_rectangle_are_found_the_longest_first() -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[30:90, 20:140] = 255
    segments = find_segments(pixels)
    lengths = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    assert (np.diff(lengths) <= 0).all() and lengths.min() >= SHORTEST_PX
    edges = np.sort([np.ptp(segments[:4, 0::2], axis=1), np.ptp(segments[:4, 1::2], axis=1)])
    np.testing.assert_allclose(edges[0], [0, 0, 120, 120], atol=6)
    np.testing.assert_allclose(edges[1], [0, 0, 60, 60], atol=6)


def test_samples_stand_at_equal_distances_from_end_to_end(network: Lines, views: Views) -> None:
    pixels = views[1]
    found = network.detect(pixels, max_keypoints=52)
    assert found.points.shape == (50, 2) and found.descriptors.shape == (50, DIM + 2)
    segments = find_segments(pixels)[:10]
    expected = [
        [(x0 + (x1 - x0) * k / 4, y0 + (y1 - y0) * k / 4) for k in range(5)]
        for x0, y0, x1, y1 in segments.tolist()
    ]
    np.testing.assert_allclose(found.points.reshape(10, 5, 2), expected, atol=1e-3)
    np.testing.assert_allclose(
        found.descriptors[:, :DIM], network.describe(pixels, found.points), atol=1e-3
    )


def test_bytes_are_the_same_again_and_on_another_number_of_threads(matcher: Matcher) -> None:
    found = []
    for threads in (1, 2, 1):
        cv2.setNumThreads(threads)
        one = matcher.detect(texture(4), max_keypoints=300)
        found.append((one.points.tobytes(), one.descriptors.tobytes()))
    assert found[0] == found[1] == found[2]
    other = matcher.detect(texture(4)[5:], max_keypoints=300)
    first, again = (matcher.verify(one, other, RULES).inliers.tobytes() for _ in range(2))
    assert first == again


def test_a_huge_picture_and_one_line_are_borne(matcher: Matcher) -> None:
    pixels = np.zeros((800, 1300, 3), np.uint8)
    pixels[350:] = 255
    found = matcher.detect(pixels, max_keypoints=40)
    assert (found.points >= 0).all() and (found.points <= [1299, 799]).all()
    numbers = set(found.descriptors[:, DIM].tolist()) - {0}
    assert numbers
    assert matcher.verify(found, found, RULES).inliers.shape[1] == 2


def test_half_of_the_rows_are_keypoints_and_match_as_keypoints_alone() -> None:
    both = points_and_lines.PointsAndLines("test")
    a, b = (both.detect(p, max_keypoints=101) for p in (texture(5), texture(5)[9:, 4:]))
    lying = a.descriptors[:, DIM] != 0
    assert np.count_nonzero(~lying) == 51 and np.count_nonzero(lying) == 50
    alone = XFeat("test").detect(texture(5), max_keypoints=51)
    np.testing.assert_array_equal(a.points[~lying], alone.points)
    np.testing.assert_array_equal(a.descriptors[~lying, :DIM], alone.descriptors)
    pairs = points_and_lines.match_points(a, b, 1.0)
    likeness = (
        a.descriptors[~lying, :DIM].astype(np.float64)
        @ b.descriptors[b.descriptors[:, DIM] == 0, :DIM].astype(np.float64).T
    )
    expected = [
        [i, j] for i, j in np.ndindex(likeness.shape)
        if likeness[i].argmax() == j and likeness[:, j].argmax() == i
    ]  # fmt: skip
    assert pairs.tolist() == expected  # keypoints stand before lines, so rows are the same
