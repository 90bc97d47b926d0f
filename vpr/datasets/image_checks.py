"""Whether a set's photos can give a number that means something: copies, and levels too few to see.

prepare asks of photos that all decode; the doctor also of those that do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.findings import Finding, Level
from vpr.images.inspection import SMALL_PX, Inspection
from vpr.images.pixels import MAX_WORD, SCALES
from vpr.places.gathering import ImageFacts

Seen = tuple[ImageFacts, Inspection]

DARK = 32  # of 255: nothing is seen below it
DEEP_LEVELS = 64  # of 256: 14 bits in a container of 16 fill as many, a full range more
FEW_LEVELS = 16  # of 256, in a photo of 8 bits: nearly one colour
NEAR_LEVELS = 2.0  # of 255, root mean square over small grey pictures: JPEG and scaling leave less
PLAIN_LEVELS = 8.0  # standard deviation of a small picture that shows nothing to compare
STANDSTILL_SHARE = 0.02  # of all photos: a stop at a light is no reason for a note
CHUNK = 2**23  # pairs compared at once
NUM_NAMED = 3  # photos named in one line


def check_images(facts: Sequence[ImageFacts]) -> list[Finding]:
    """Look for what changes recall without a model: copies on both sides, photos without detail.

    Args:
        facts: Facts of both sides; photos that do not decode are passed over.
    """
    photos = [(fact, fact.seen) for fact in facts if fact.seen is not None]
    checks = (
        _copies,
        _near_copies,
        _standstill,
        _deep_levels,
        _white_levels,
        _plain_photos,
        _dark_photos,
    )
    return [check(photos) for check in checks]


def _copies(photos: Sequence[Seen]) -> Finding:
    """Find photos with the same bytes."""
    groups: dict[bytes, list[ImageFacts]] = {}
    for fact, seen in photos:
        groups.setdefault(seen.digest, []).append(fact)
    twins = [group for group in groups.values() if len(group) > 1]
    both = [group for group in twins if {fact.side for fact in group} == {"database", "query"}]
    if not twins:
        return Finding("copies", "no two photos have the same bytes")
    rows = [fact.number for group in both for fact in group if fact.side == "query"]
    within = Counter(group[0].side for group in twins if len({fact.side for fact in group}) == 1)
    first = " = ".join(fact.label for fact in (both or twins)[0][:3])
    words = f"{len(twins)} photos occur more than once ({first})"
    words += "".join(f"; {count} within the {side} side" for side, count in within.items())
    if both:
        words += (
            f"; {len(rows)} queries are copies of database photos, which inflates recall by up to "
            f"{_share(rows, photos):.2f}: a copy is found by any model"
        )
    return Finding(
        "copies", f"{words}: remove the copies", Level.LOUD if both else Level.NOTE,
        {"photos": len(twins), "queries": len(rows)} | ({"query_rows": rows} if rows else {}),
    )  # fmt: skip


def _near_copies(photos: Sequence[Seen]) -> Finding:
    """Find queries that look like a database photo, as recompressed and resized copies do."""
    key = "near_copies"
    shown = [photo for photo in photos if _levels(photo[1]).std() >= PLAIN_LEVELS]
    database = [photo for photo in shown if photo[0].side == "database"]
    known = {seen.digest for _, seen in database}
    query = [photo for photo in shown if photo[0].side == "query" and photo[1].digest not in known]
    pairs = _find_near(_grey(query), _grey(database)) if query and database else []
    rule = (
        f"{SMALL_PX} x {SMALL_PX} grey thumbnails that differ by less than {NEAR_LEVELS:g} of 255"
    )
    if not pairs:
        return Finding(key, f"no query and database photo have {rule} levels (RMS)")
    first, nearest = pairs[0]
    words = (
        f"{len(pairs)} queries and a database photo have {rule} levels (RMS), first "
        f"{query[first][0].label} and {database[nearest][0].label}: recompressed or resized "
        "copies, or frames of a camera that stands still. This inflates recall by up to "
        f"{_share(pairs, photos):.2f}: look at them, and remove the copies"
    )
    rows = [query[row][0].number for row, _ in pairs]
    return Finding(key, words, Level.LOUD, {"queries": len(pairs), "query_rows": rows})


def _standstill(photos: Sequence[Seen]) -> Finding:
    """Find photos that look like the one before, as of a camera that stands still."""
    some: list[ImageFacts] = []
    for side in ("database", "query"):
        taken = [photo for photo in photos if photo[0].side == side]
        grey = _grey(taken).reshape(-1, SMALL_PX**2)
        gaps = np.sqrt(((grey[1:] - grey[:-1]) ** 2).mean(axis=1))
        some += [
            fact
            for (fact, seen), gap in zip(taken[1:], gaps, strict=True)
            if gap < NEAR_LEVELS and _levels(seen).std() >= PLAIN_LEVELS
        ]
    if len(some) <= STANDSTILL_SHARE * len(photos):
        return Finding("standstill", f"{len(some)} photos look like the one before them")
    return _noted(
        "standstill", some, len(photos),
        "they look like the photo before them, as copies do and frames of a camera that stands "
        "still: they weigh one place more than others",
    )  # fmt: skip


def _share(rows: Sequence[object], photos: Sequence[Seen]) -> float:
    return len(rows) / sum(fact.side == "query" for fact, _ in photos)


def _find_near(query: NDArray[np.float32], database: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Rows of `query` with a row of `database` nearer than `NEAR_LEVELS`, each with the nearest."""
    found: list[tuple[int, int]] = []
    square = (database**2).sum(axis=1)
    step = max(1, CHUNK // len(database))
    for start in range(0, len(query), step):
        part = query[start : start + step]
        away = (part**2).sum(axis=1)[:, None] + square - 2 * part @ database.T
        nearest = away.argmin(axis=1)
        near = away[np.arange(len(part)), nearest] < NEAR_LEVELS**2 * database.shape[1]
        found += [(start + int(row), int(nearest[row])) for row in np.flatnonzero(near)]
    return found


def _grey(photos: Sequence[Seen]) -> NDArray[np.float32]:
    """Small grey pictures, a row each, levels -128 to 127: smaller squares lose fewer digits."""
    return np.array([_levels(seen) for _, seen in photos], np.float32) - 128


def _levels(seen: Inspection) -> NDArray[np.uint8]:
    return np.frombuffer(seen.small, np.uint8)


def _deep_levels(photos: Sequence[Seen]) -> Finding:
    """Find photos whose file has room for more levels than they use, as of 14 bits in 16."""
    key, deep = "deep_photos", [(fact, seen) for fact, seen in photos if seen.is_deep]
    some = [(fact, seen) for fact, seen in deep if _span(seen) < DEEP_LEVELS]
    if not some:
        return Finding(
            key, f"{len(deep)} of {len(photos)}; none uses only a small part of its range"
        )
    low, high = min(seen.levels[0] for _, seen in some), max(seen.levels[1] for _, seen in some)
    white = some[0][1].white or MAX_WORD
    lowest, highest, share = low * white / 255, high * white / 255, (high - low) / 255
    return Finding(
        key,
        f"{len(some)} of {len(deep)} photos of more than 8 bits each use less than a quarter of "
        f"their range (first {some[0][0].label}), and together the levels {lowest:,.0f} to "
        f"{highest:,.0f} of 0 to {white:,} ({share:.1%}): the network sees {256 * share:.0f} of "
        f"256 grey levels. Store all photos in 8 bits, scaled alike: (level - {lowest:.0f}) * 255 "
        f"/ {max(highest - lowest, 1):.0f}",
        Level.LOUD if 2 * len(some) >= len(deep) else Level.NOTE,
        {"photos": len(some), "lowest_level": round(lowest), "highest_level": round(highest),
         "share_of_range": round(share, 4)},
    )  # fmt: skip


def _white_levels(photos: Sequence[Seen]) -> Finding:
    """Find sets in which equal levels of 32 bits are read as different greys."""
    key, whites = "white_levels", Counter(seen.white for _, seen in photos if seen.mode in SCALES)
    if len(whites) < 2:
        return Finding(key, "the same in all photos whose files do not state it")
    counts = ", ".join(f"{white:,} in {count}" for white, count in whites.most_common())
    words = (
        "photos of 32 bits do not state their white level, and by the range that each fills it is "
        f"{counts}: equal levels become different greys: store all photos in 8 bits, scaled alike"
    )
    return Finding(key, words, Level.LOUD, {"white_levels": len(whites)})


def _plain_photos(photos: Sequence[Seen]) -> Finding:
    """Find photos of 8 bits that are nearly of one grey."""
    some = [fact for fact, seen in photos if not seen.is_deep and _span(seen) < FEW_LEVELS]
    return _noted(
        "plain_photos", some, len(photos),
        f"they span less than {FEW_LEVELS} of 256 grey levels, so there is little to recognise: "
        "remove them, or scale all photos alike",
    )  # fmt: skip


def _dark_photos(photos: Sequence[Seen]) -> Finding:
    """Find photos that are nearly black."""
    some = [fact for fact, seen in photos if seen.brightest < DARK]
    return _noted("dark_photos", some, len(photos), f"no pixel is brighter than {DARK} of 255")


def _span(seen: Inspection) -> float:
    return seen.levels[1] - seen.levels[0]


def _noted(key: str, some: Sequence[ImageFacts], total: int, why: str) -> Finding:
    """Make a finding of some photos, with the first names; without photos it is `none`."""
    if not some:
        return Finding(key, "none")
    named = ", ".join(fact.label for fact in some[:NUM_NAMED])
    more = f" and {len(some) - NUM_NAMED} more" if len(some) > NUM_NAMED else ""
    words = f"{len(some)} of {total}: {named}{more}: {why}"
    return Finding(key, words, Level.NOTE, {"photos": len(some)})
