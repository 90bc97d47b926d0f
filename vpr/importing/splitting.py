"""Which photos are the database and which are queries: by day, else by drive."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from vpr.importing.collection import Collection, LeftOut, Shot, Side
from vpr.importing.panoramas import Crop
from vpr.importing.placing import place_shots

USUAL_RADIUS_M = 25  # of positives, where a set has none of its own
DRIVE_GAP_S = 30 * 60.0  # a longer pause ends a drive
LEAST_SHARE = 0.1  # of the photos that are queries: days are added, from the newest, up to it
EVERY = 5  # of a single drive, each fifth photo is a query without a label
HOUR_S = 3600

Drives = dict[str, list[Shot]]


@dataclass(frozen=True)
class Split:
    """Both sides.

    Args:
        database: Photos whose positions are known.
        query: Photos whose positions are to be found.
        words: How they were told apart.
        labels: Whether the queries' positions may be compared with the answers.
        left_out: Photos of neither side.
    """

    database: list[Shot]
    query: list[Shot]
    words: str
    labels: bool = True
    left_out: LeftOut = field(default_factory=LeftOut)


def split(shots: Sequence[Shot], *, hours_east: float) -> Split:
    """Split photos by day, else by drive; neighbours of one drive are never on both sides.

    The newest days, or drives, that hold a tenth of the photos are the queries. A single drive
    shows its places once: each fifth photo is a query, but its position is not compared, since its
    neighbours would answer for it.

    Args:
        shots: Photos. If the source assigns sides, photos without one are left out.
        hours_east: The sun's time less UTC, to tell days.
    """
    if any(shot.side for shot in shots):
        return _by_source(shots)
    drives, left_out = find_drives(shots)
    if len(drives) == 1:
        (only,) = drives.values()
        groups = _group_crops(only)[EVERY // 2 :: EVERY]
        queries = [shot for group in groups for shot in group]
        chosen = {id(shot) for shot in queries}
        words = (
            f"one drive only: each {EVERY}th photo is a query, and as its neighbours are in the "
            "database, recall would say nothing and is left out: give a later drive by --queries"
        )
        rest = [shot for shot in only if id(shot) not in chosen]
        return Split(rest, queries, words, labels=False, left_out=left_out)
    days = {name: _day(drive, hours_east=hours_east) for name, drive in drives.items()}
    if None not in days.values() and len(set(days.values())) > 1:
        newest = _newest(drives, days)
        words = f"by day: queries are of {_list({str(days[name]) for name in newest})}"
    else:
        newest = _newest(drives, {name: name for name in drives})
        same = ", all on the same day" if None not in days.values() else ""
        words = f"by drive{same}: queries are of {_list(newest)}"
    sides: dict[bool, list[Shot]] = {True: [], False: []}
    for name, drive in drives.items():
        sides[name in newest] += drive
    return Split(sides[False], sides[True], words, left_out=left_out)


def find_drives(shots: Sequence[Shot]) -> tuple[Drives, LeftOut]:
    """Group photos by the recording that the source names, else by pauses of the clock.

    Drives are ordered by time, and so are the photos of those whose photos all have one. Where
    nothing has a name or a time, all are one drive; where others have, a photo without either is
    left out.

    Returns:
        The drives, the oldest first, photos with the drive's name; and what is left out.
    """
    drives: Drives = {}
    left_out = LeftOut()
    unnamed = [shot for shot in shots if shot.sequence is None]
    for shot in shots:
        if shot.sequence is not None:
            drives.setdefault(shot.sequence, []).append(shot)
    timed = sorted((shot for shot in unnamed if shot.time is not None), key=_time)
    name, last = "", -float("inf")
    for shot in timed:
        if _time(shot) - last >= DRIVE_GAP_S:
            name = f"{datetime.fromtimestamp(_time(shot), UTC):%Y-%m-%dT%H:%M:%SZ}"
        last = _time(shot)
        drives.setdefault(name, []).append(replace(shot, sequence=name))
    for shot in unnamed:
        if shot.time is None and drives:
            left_out.add("without a time, while others have one", shot.name)
    if not drives:
        drives["1"] = [replace(shot, sequence="1") for shot in unnamed]
    for drive in drives.values():
        if all(shot.time is not None for shot in drive):
            drive.sort(key=_time)
    starts = {name: min(map(_time, drive)) for name, drive in drives.items()}
    return {name: drives[name] for name in sorted(drives, key=lambda name: starts[name])}, left_out


def _group_crops(shots: Sequence[Shot]) -> list[list[Shot]]:
    """Group the crops of each panorama; any other photo is a group of its own."""
    groups: dict[object, list[Shot]] = {}
    for number, shot in enumerate(shots):
        key = shot.content.file if isinstance(shot.content, Crop) else number
        groups.setdefault(key, []).append(shot)
    return list(groups.values())


def _by_source(shots: Iterable[Shot]) -> Split:
    sides: dict[str, list[Shot]] = {"database": [], "query": []}
    left_out = LeftOut()
    for shot in shots:
        if shot.side is None:
            left_out.add("on neither side", shot.name)
        else:
            sides[shot.side].append(shot)
    return Split(sides["database"], sides["query"], "as given", left_out=left_out)


def _newest(drives: Drives, group_of: Mapping[str, Hashable]) -> list[str]:
    """List the drives of the newest groups that together hold enough photos, never of all."""
    sizes: Counter[Hashable] = Counter()
    for name, drive in drives.items():
        sizes[group_of[name]] += len(drive)
    _, *later = dict.fromkeys(group_of[name] for name in drives)
    newest: set[Hashable] = set()
    for group in reversed(later):
        newest.add(group)
        if sum(sizes[group] for group in newest) >= LEAST_SHARE * sizes.total():
            break
    return [name for name in drives if group_of[name] in newest]


def _day(drive: Sequence[Shot], *, hours_east: float) -> str | None:
    """Tell the day on which a drive began; None without a time."""
    start = min(map(_time, drive))
    if start == float("inf"):
        return None
    return f"{datetime.fromtimestamp(start + hours_east * HOUR_S, UTC):%Y-%m-%d}"


def _list(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if ordered[3:] else "")


def _time(shot: Shot) -> float:
    return float("inf") if shot.time is None else shot.time


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


def _stamp(shot: Shot) -> tuple[object, ...]:
    """What an image depends on: its file, and what is made from it."""
    is_file = isinstance(shot.content, Path)
    file = shot.content if isinstance(shot.content, Path) else shot.content.file
    found = file.stat()
    return file.resolve(), found.st_size, found.st_mtime_ns, None if is_file else shot.content
