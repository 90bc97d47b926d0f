"""Recordings are grouped by name, wherever their rows are."""

from __future__ import annotations

import numpy as np

from vpr.places.index import find_recordings, places_on_route


def test_two_cameras_that_alternate_are_two_recordings() -> None:
    found = find_recordings(["left", "right"] * 12, 24)
    assert [images.tolist() for images in found] == [[*range(0, 24, 2)], [*range(1, 24, 2)]]


def test_a_name_that_comes_again_goes_on_and_no_column_is_a_single_recording() -> None:
    found = find_recordings(["a", "a", "b", "a"], 4)
    assert [images.tolist() for images in found] == [[0, 1, 3], [2]]
    assert [images.tolist() for images in find_recordings(None, 3)] == [[0, 1, 2]]


def test_images_within_the_gap_are_of_one_recording() -> None:
    recordings = [np.array([0, 2, 4]), np.array([1, 3])]
    assert places_on_route(recordings, apart=3).tolist() == [0, 6, 1, 7, 2]
    assert places_on_route(find_recordings(None, 4), apart=9).tolist() == [0, 1, 2, 3]
