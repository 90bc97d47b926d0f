"""Which photos are the database and which are queries: by day, else by drive."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vpr.importing.collection import Collection, LeftOut, Shot, Side
from vpr.importing.panoramas import Crop
from vpr.importing.placing import place_shots

USUAL_RADIUS_M = 25  # of positives, where a set has none of its own
DRIVE_GAP_S = 30 * 60.0  # a longer pause ends a drive
LEAST_SHARE = 0.1  # of the photos that are queries: days are added, from the newest, up to it
EVERY = 5  # of a single drive, each fifth photo is a query without a label
HOUR_S = 3600

Drives = dict[str, list[Shot]]
Sides = dict[Side, list[Shot]]


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

    sides: Sides
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
    shots, target, hours_east, left_out = place_shots(parts, crs=crs, labels=labels)
    sides, words, is_comparable = split(shots, left_out, hours_east=hours_east)
    notes = [note for _, part in parts for note in part.notes]
    for side, those in sides.items():
        if not those:
            raise ValueError(
                f"the {side} side has no photos: give both sides, by --database and --queries"
            )
        unplaced = sum(shot.at is None for shot in those)
        if 0 < unplaced < len(those):
            notes.append(
                f"{unplaced} of {len(those)} {side} photos have no position, so none of these is "
                "written"
            )
    radii = {part.radius_m for _, part in parts}
    radius_m = radii.pop() if len(radii) == 1 else None
    return Plan(sides, target, labels and is_comparable, words, left_out, notes, radius_m)


def split(
    shots: Sequence[Shot], left_out: LeftOut, *, hours_east: float
) -> tuple[Sides, str, bool]:
    """Split photos by day, else by drive; neighbours of one drive are never on both sides.

    The newest days, or drives, that hold a tenth of the photos are the queries. A single drive
    shows its places once: each fifth photo is a query, but its position is not compared, since its
    neighbours would answer for it.

    Args:
        shots: Photos. If the source assigns sides, photos without one are left out.
        left_out: Where photos of neither side are counted.
        hours_east: The sun's time less UTC, to tell days.

    Returns:
        Both sides; how they were split; and whether the queries' positions may be compared
        with the answers.
    """
    sides: Sides = {"database": [], "query": []}
    if any(shot.side for shot in shots):
        for shot in shots:
            if shot.side is None:
                left_out.add("on neither side", shot.name)
            else:
                sides[shot.side].append(shot)
        return sides, "as given", True
    drives = find_drives(shots, left_out)
    if len(drives) == 1:
        (only,) = drives.values()
        for number, group in enumerate(_group_crops(only)):
            sides["query" if number % EVERY == EVERY // 2 else "database"] += group
        words = (
            f"one drive only: each {EVERY}th photo is a query, and as its neighbours are in the "
            "database, recall would say nothing and is left out: give a later drive by --queries"
        )
        return sides, words, False
    days = {name: _day(drive, hours_east=hours_east) for name, drive in drives.items()}
    if None not in days.values() and len(set(days.values())) > 1:
        newest = _newest(drives, days)
        words = f"by day: queries are of {_list({str(days[name]) for name in newest})}"
    else:
        newest = _newest(drives, {name: name for name in drives})
        same = ", all on the same day" if None not in days.values() else ""
        words = f"by drive{same}: queries are of {_list(newest)}"
    for name, drive in drives.items():
        sides["query" if name in newest else "database"] += drive
    return sides, words, True


def find_drives(shots: Sequence[Shot], left_out: LeftOut) -> Drives:
    """Group photos by the recording that the source names, else by pauses of the clock.

    Drives are ordered by time, and so are the photos of those whose photos all have one. Where
    nothing has a name or a time, all are one drive; where others have, a photo without either is
    left out.

    Returns:
        The drives, the oldest first, photos with the drive's name.
    """
    drives: Drives = {}
    for shot in shots:
        if shot.sequence is not None:
            drives.setdefault(shot.sequence, []).append(shot)
    unnamed = [shot for shot in shots if shot.sequence is None]
    name, last = "", -float("inf")
    for shot in sorted((shot for shot in unnamed if shot.time is not None), key=_time):
        if _time(shot) - last >= DRIVE_GAP_S:
            name = f"{datetime.fromtimestamp(_time(shot), UTC):%Y-%m-%dT%H:%M:%SZ}"
        last = _time(shot)
        drives.setdefault(name, []).append(replace(shot, sequence=name))
    if not drives:
        drives["1"] = [replace(shot, sequence="1") for shot in unnamed]
    else:
        for shot in unnamed:
            if shot.time is None:
                left_out.add("without a time, while others have one", shot.name)
    for drive in drives.values():
        if all(shot.time is not None for shot in drive):
            drive.sort(key=_time)
    return dict(sorted(drives.items(), key=lambda pair: min(map(_time, pair[1]))))


def _group_crops(shots: Sequence[Shot]) -> list[list[Shot]]:
    """Group the crops of each panorama; any other photo is a group of its own."""
    groups: dict[object, list[Shot]] = {}
    for number, shot in enumerate(shots):
        key = shot.content.file if isinstance(shot.content, Crop) else number
        groups.setdefault(key, []).append(shot)
    return list(groups.values())


def _newest(drives: Drives, group_of: Mapping[str, Hashable]) -> list[str]:
    """List the drives of the newest groups that together hold enough photos, never of all."""
    total = sum(map(len, drives.values()))
    _, *later = dict.fromkeys(group_of[name] for name in drives)
    newest: list[str] = []
    for group in reversed(later):
        newest += [name for name in drives if group_of[name] == group]
        if sum(len(drives[name]) for name in newest) >= LEAST_SHARE * total:
            break
    return newest


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
