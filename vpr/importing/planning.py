"""From collections to the two sides of a set: positions on one plane, sides, and a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from vpr.importing.collection import DEGREES, NO_POSITION, Collection, LeftOut, Shot, Side
from vpr.importing.plane import choose_crs, lie_far, middle_of, to_degrees, to_plane
from vpr.importing.splitting import split

DEGREES_PER_HOUR = 15
PHOTOS = "photos"  # folder of the images in the set
USUAL_RADIUS_M = 25  # of positives, where a set has none of its own


@dataclass(frozen=True)
class Plan:
    """What will be written.

    Args:
        sides: By the name of the side, its photos; positions are easting and northing.
        crs: Their reference system; None: of no place on Earth.
        labels: Whether the queries' positions are written.
        words: How the sides were told apart.
        left_out: By reason.
        notes: What a user has to know, a sentence each.
        radius_m: The set's own, if it has one.
    """

    sides: dict[Side, list[Shot]]
    crs: str | None
    labels: bool
    words: str
    left_out: LeftOut
    notes: list[str]
    radius_m: float | None

    @property
    def has_places(self) -> bool:
        """Whether the position of any photo is known."""
        return any(shot.at is not None for shots in self.sides.values() for shot in shots)

    def digest(self) -> str:
        """Digest of everything that will be written; files count by place, size and time."""
        content = hashlib.sha256(repr((self.crs, self.labels)).encode())
        for side, shots in self.sides.items():
            for shot in shots:
                row = (side, *cells(shot), _stamp(shot))
                content.update(repr(row).encode())
        return content.hexdigest()


class Placed(NamedTuple):
    """Photos on one plane, each under a name of its own.

    Args:
        shots: Their positions are easting and northing.
        crs: Reference system of the positions; None: of no place on Earth.
        hours_east: The sun's time there less UTC.
        left_out: By reason.
    """

    shots: list[Shot]
    crs: str | None
    hours_east: float
    left_out: LeftOut


def place_shots(
    parts: Sequence[tuple[Side | None, Collection]], *, crs: str | None, labels: bool
) -> Placed:
    """Put collections on one plane.

    Args:
        parts: Collections, and the side that the command line gives them to.
        crs: Reference system to write; None: the collections' own if it is metric and the same in
            all, else the UTM zone of their median.
        labels: Whether photos need positions.

    Raises:
        ValueError: If nothing is left, or the reference systems do not go together.
    """
    left_out, shots = LeftOut(), []
    systems = {part.crs for _, part in parts if any(shot.at for shot in part.shots)}
    for side, part in parts:
        left_out.update(part.left_out)
        for shot in part.shots:
            if shot.at is None and labels:
                left_out.add(NO_POSITION, shot.name)
            else:
                shots.append((part.crs, replace(shot, side=side or shot.side)))
    placed, target, hours_east = _place(shots, systems, crs, left_out)
    named = _name_apart(placed, left_out)
    if not named:
        hint = ": --no-labels takes them" if left_out.counts[NO_POSITION] else ""
        raise ValueError(f"nothing to import: {'; '.join(left_out.lines()) or 'no photos'}{hint}")
    return Placed(named, target, hours_east, left_out)


def make_plan(
    parts: Sequence[tuple[Side | None, Collection]], *, crs: str | None, labels: bool
) -> Plan:
    """Put collections on one plane and split them.

    Args:
        parts: As for `place_shots`.
        crs: Likewise.
        labels: Whether photos need positions, and the queries' are written.

    Raises:
        ValueError: If nothing is left of a side, or the reference systems do not go together.
    """
    named, target, hours_east, left_out = place_shots(parts, crs=crs, labels=labels)
    notes = [note for _, part in parts for note in part.notes]
    sides = split(named, hours_east=hours_east)
    left_out.update(sides.left_out)
    radii = {part.radius_m for _, part in parts}
    plan = Plan(
        {"database": sides.database, "query": sides.query}, target, labels and sides.labels,
        sides.words, left_out, notes, radii.pop() if len(radii) == 1 else None,
    )  # fmt: skip
    for side, those in plan.sides.items():
        unplaced = sum(shot.at is None for shot in those)
        if 0 < unplaced < len(those):
            notes.append(
                f"{unplaced} of {len(those)} {side} photos have no position, so none of these is "
                "written"
            )
        if not those:
            raise ValueError(
                f"the {side} side has no photos: give both sides, by --database and --queries"
            )
    return plan


def cells(shot: Shot) -> tuple[str | float | None, ...]:
    """The row of a photo: path, easting, northing, sequence, heading, time, accuracy."""
    time = None
    if shot.time is not None:
        moment = datetime.fromtimestamp(shot.time, UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = shot.at or (None, None)
    return shot.name, *place, shot.sequence, shot.heading, time, shot.accuracy_m


def safe_name(parts: Iterable[str]) -> str:
    """Make a name that any system can hold: no backslashes and no control characters.

    Args:
        parts: Parts of a path, none of which leads upwards.
    """
    texts = ("".join(c if c.isprintable() and c != "\\" else "_" for c in part) for part in parts)
    return PurePosixPath(*texts).as_posix()


def number_name(name: str) -> Iterator[str]:
    """Yield a.jpg, a-2.jpg, a-3.jpg, ..."""
    path = PurePosixPath(name)
    yield name
    yield from (f"{path.with_suffix('')}-{n}{path.suffix}" for n in count(2))


def _place(
    shots: Sequence[tuple[str | None, Shot]],
    systems: set[str | None],
    crs: str | None,
    left_out: LeftOut,
) -> tuple[list[Shot], str | None, float]:
    """Convert positions to one plane.

    Returns:
        The photos on it; its reference system; and the sun's time there less UTC, in hours.
    """
    if None in systems or not systems:
        if len(systems) > 1 or crs is not None:
            raise ValueError(
                "some positions are of no place on Earth: they cannot be converted, nor be one set "
                "with others"
            )
        return [shot for _, shot in shots], None, 0.0
    rows = [row for row, (_, shot) in enumerate(shots) if shot.at is not None]
    places = np.array([shots[row][1].at for row in rows], dtype=np.float64)
    sources = np.array([str(shots[row][0]) for row in rows])
    degrees, easting_northing = np.empty_like(places), np.empty_like(places)
    for source in map(str, set(sources)):
        those = sources == source
        degrees[those] = to_degrees(places[those], source=source)
    far = lie_far(degrees)
    if crs is None and len(systems) == 1 and DEGREES not in systems:
        (crs,) = systems
    target = crs or choose_crs(degrees[~far])
    for source in map(str, set(sources)):
        those = sources == source
        easting_northing[those] = to_plane(places[those], source=source, target=target)
    at = {
        row: None if away or not np.isfinite(place).all() else (float(place[0]), float(place[1]))
        for row, place, away in zip(rows, easting_northing, far, strict=True)
    }
    placed = []
    for row, (_, shot) in enumerate(shots):
        if row in at and at[row] is None:
            left_out.add(
                "too far from the others for one plane: make it a set of its own", shot.name
            )
        else:
            placed.append(replace(shot, at=at.get(row)))
    return placed, target, middle_of(degrees[~far])[1] / DEGREES_PER_HOUR


def _name_apart(shots: Sequence[Shot], left_out: LeftOut) -> list[Shot]:
    """Put photos below the set's folder of photos, each under a name of its own."""
    taken: dict[str, Shot] = {}
    for shot in shots:
        name = f"{PHOTOS}/{shot.name}"
        if name in taken:
            if taken[name].content == shot.content:
                left_out.add("named twice", shot.name)
                continue
            name = next(name for name in number_name(name) if name not in taken)
        taken[name] = replace(shot, name=name)
    return list(taken.values())


def _stamp(shot: Shot) -> tuple[object, ...]:
    """What an image depends on: its file, and what is made from it."""
    is_file = isinstance(shot.content, Path)
    file = shot.content if isinstance(shot.content, Path) else shot.content.file
    found = file.stat()
    return file.resolve(), found.st_size, found.st_mtime_ns, None if is_file else shot.content
