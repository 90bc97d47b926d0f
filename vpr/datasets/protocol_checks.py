"""Whether a set is that of a named protocol, and which of its queries count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.protocols import PROTOCOLS, NamedProtocol, check_name
from vpr.places.index import ImageIndex
from vpr.places.radius import count_positives


class Followed(NamedTuple):
    """A ground truth as a protocol counts it.

    Args:
        truth: The set with those queries that count.
        radius_m: Radius of the positives, metres or the coordinates' unit.
        counted: For each query of the list whether it counts.
    """

    truth: GroundTruth
    radius_m: float
    counted: NDArray[np.bool_]


def follow_protocol(
    truth: GroundTruth,
    name: str | None,
    *,
    asked_m: float | None,
    crs: str | None = None,
    max_heading_deg: float | None = None,
    keys: tuple[str, str] = ("dataset.protocol", "prepare.radius_m"),
) -> Followed:
    """Choose radius and queries by a protocol, or without one by the parameter and the set.

    No image is opened, so a set that is not the protocol's is refused at once.

    Args:
        truth: The set, which may bring a radius of its own.
        name: A key of `PROTOCOLS`, or None.
        asked_m: The radius that the user asks for, which goes before the set's own.
        crs: `dataset.crs`.
        max_heading_deg: `prepare.max_heading_deg`.
        keys: What messages call protocol and radius.

    Raises:
        ValueError: If no radius is known, one is asked for that is not the protocol's, or the set
            differs from the protocol's.
    """
    everyone = np.ones(len(truth.query.paths), dtype=np.bool_)
    if name is None:
        return Followed(truth, _choose_radius(truth, asked_m, key=keys[1]), everyone)
    protocol, start = PROTOCOLS[check_name(name)], f"{keys[0]} = {name}"
    if asked_m is not None and asked_m != protocol.radius:
        raise ValueError(
            f"{keys[1]} = {asked_m:g}, but {start} has a radius of {protocol.radius:g}: leave out "
            "one of them"
        )
    if max_heading_deg is not None:
        raise ValueError(
            f"prepare.max_heading_deg = {max_heading_deg:g}, but {start} counts positions alone: "
            "set it to null"
        )
    if crs is not None and protocol.frames is not None:
        raise ValueError(f"dataset.crs = {crs}, but {start} counts frames: set it to null")
    problems = [*_wrong_sizes(truth, protocol), *_wrong_order(truth, protocol)]
    if problems:
        raise ValueError(f"{start}: {'; '.join(problems)} ({protocol.source})")
    counts = count_positives(truth.database, truth.query, protocol.radius, None)
    problems = [*_wrong_positives(counts, protocol)]
    if problems:
        raise ValueError(f"{start}: {'; '.join(problems)} ({protocol.source})")
    counted = everyone if protocol.num_counted is None else counts > 0
    kept = truth if counted.all() else replace(truth, query=_keep(truth.query, counted))
    return Followed(kept, protocol.radius, counted)


def _choose_radius(truth: GroundTruth, asked_m: float | None, *, key: str) -> float:
    radius_m = asked_m or truth.radius_m
    if radius_m is None:
        raise ValueError(
            f"{key} = null, but a set in the form {truth.form} has no radius of its "
            "own: set it in metres (25 is usual for street photos)"
        )
    return radius_m


def _wrong_sizes(truth: GroundTruth, protocol: NamedProtocol) -> Iterator[str]:
    found = len(truth.database.paths), len(truth.query.paths)
    expected = protocol.num_database, protocol.num_query
    allowed = {protocol.num_query, protocol.num_counted or protocol.num_query}
    if found[0] != expected[0]:
        yield _differ("database images", expected[0], found[0])
    if found[1] not in allowed:
        yield _differ("queries", expected[1], found[1])
    if found == expected[::-1] != expected:
        yield "database and queries are swapped"


def _differ(things: str, expected: int, found: int) -> str:
    gap = f"{abs(found - expected):,} {'missing' if found < expected else 'too many'}"
    return f"expected {expected:,} {things}, found {found:,} ({gap})"


def _wrong_order(truth: GroundTruth, protocol: NamedProtocol) -> Iterator[str]:
    """Say that the names of the database have the word of the queries, and none its own."""
    if protocol.database is None or protocol.query is None:
        return
    names = " ".join(truth.database.paths).lower()
    if protocol.query in names and protocol.database not in names:
        yield (
            f"{protocol.database} is the database, but its names say {protocol.query} "
            f"({truth.database.paths[0]!r}): swap the sides"
        )


def _wrong_positives(counts: NDArray[np.int64], protocol: NamedProtocol) -> Iterator[str]:
    with_positive = int(np.count_nonzero(counts))
    if protocol.num_counted not in (None, with_positive):
        yield _differ("queries with a positive", int(protocol.num_counted or 0), with_positive)
    if protocol.frames is not None and counts.max() != 2 * protocol.frames + 1:
        yield (
            f"expected up to {2 * protocol.frames + 1} positives per query ({protocol.rule}), "
            f"found {counts.max()} within {protocol.radius:g}: do coordinates count the "
            "protocol's frames?"
        )


def _keep(index: ImageIndex, kept: NDArray[np.bool_]) -> ImageIndex:
    rows = np.flatnonzero(kept).tolist()
    return ImageIndex(
        [index.paths[row] for row in rows],
        index.coordinates[kept],
        None if index.sequence is None else [index.sequence[row] for row in rows],
        None if index.heading is None else index.heading[kept],
    )
