"""A place exactly at the radius, in decimals, is within it wherever that is asked."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vpr.evaluation.curves import ranking_curves
from vpr.places.radius import find_positives, find_training_positives, is_within
from vpr.reranking import utility
from vpr.training import mining


def decimals(*texts: str) -> np.ndarray:
    return np.array([[float(text), 0.0] for text in texts])


def street(start: str, count: int, origin: tuple[str, str] = ("0", "0")) -> np.ndarray:
    """Places a metre apart from a decimal start, as a table would give them."""
    east, north = (Fraction(text) for text in origin)
    places = [(east + Fraction(start) + step, north) for step in range(count)]
    return np.array([[float(one) for one in place] for place in places])


ORIGINS = [("0", "0"), ("389000.1", "5818000.7"), ("-0.1", "-9999999.9")]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(
    ("radius_m", "pairs"),
    # Query i is at i + 0.3, image j at j: 0.3 + (i - j) metres apart, 0.3, 0.7, 1.3, 1.7, ...
    [(0.3, 20), (0.7, 20 + 19), (1.3, 20 + 19 + 19), (1.7, 20 + 19 + 19 + 18), (0.29999, 0)],
)
def test_decimal_places_at_the_radius_are_positives(
    origin: tuple[str, str], radius_m: float, pairs: int
) -> None:
    database, query = street("0", 20, origin), street("0.3", 20, origin)
    found = find_positives(database, query, radius_m=radius_m)
    assert found.nnz == pairs
    assert (np.diff(found.indptr) > 0).sum() == (20 if pairs else 0)
    every = is_within(query[:, None], database[None], radius_m=radius_m)
    assert every.sum() == pairs
    # The radius curve of a perfect submission, and of one that is a metre off.
    ranks = np.ones(20, np.int64)
    curve = ranking_curves(ranks, depth=1, top1=database, query=query, radii_m=[radius_m])["radius"]
    assert curve["recall@1"].tolist() == [1.0 if pairs else 0.0]
    top1, asked = database[:-1], query[1:]  # 1.3 m away
    off = ranking_curves(ranks[1:], depth=1, top1=top1, query=asked, radii_m=[radius_m])["radius"]
    assert off["recall@1"].tolist() == [1.0 if radius_m >= 1.3 else 0.0]


def test_whether_two_places_are_near_depends_on_no_other_place() -> None:
    # Another place at ten million metres has larger rounding, which these do not get.
    database, query = decimals("0"), decimals("0.3000001")
    assert find_positives(database, query, radius_m=0.3).nnz == 0
    far = decimals("0", "10000000000")
    assert find_positives(far, query, radius_m=0.3).nnz == 0
    assert find_positives(far, decimals("0.3"), radius_m=0.3).nnz == 1


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_millionth_of_a_metre_beyond_is_beyond(origin: tuple[str, str]) -> None:
    database, beyond = street("0", 20, origin), street("0.300001", 20, origin)
    assert find_positives(database, beyond, radius_m=0.3).nnz == 0
    assert not is_within(database, beyond, radius_m=0.3).any()


def test_two_centimetres_at_the_radius_are_no_negatives_of_each_other() -> None:
    places = street("0.1", 4)[:, ::-1] * [1, 0.1]  # 0.1 m apart, on a northing of 0.01, 0.11, ...
    positives = find_training_positives(places, radius_m=0.2)
    assert positives.indices.tolist() == [1, 2, 0, 2, 3, 0, 1, 3, 1, 2]
    for anchor in range(4):
        beyond = [image for image in range(4) if abs(image - anchor) > 2]
        found = mining.find_negatives(positives, places, anchor, radius_m=0.2)
        assert found.tolist() == beyond
    apart = street("0", 4) * [0.3, 1]  # 0.3 m apart: within twice 0.15 m
    expected = [[abs(a - b) > 1 for a in range(4)] for b in range(4)]
    assert utility.find_negatives(apart, radius_m=0.15).tolist() == expected
