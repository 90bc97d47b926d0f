"""Whether the rows of a side lie along a route, how densely, and whether its fixes are fresh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vpr.datasets.findings import Finding, Level
from vpr.datasets.ground_truth import GroundTruth
from vpr.places.index import ImageIndex, find_recordings

FEWEST_ROWS = 8  # fewer show no order
# A step is measured against the distance to the 5th nearest image, or less in a small set.
NUM_NEIGHBOURS = 5
JUMP = 3  # times that distance: on an even road 9 images
MOST_JUMPS = 0.25  # of the steps: sets of several drives or of photos by place have fewer
CAMERA = re.compile(r"(cam|camera|view|lens|sensor)[-_ ]?\d+", re.IGNORECASE)
# Of names @easting@..., an easting's fraction belongs to the number.
NUMBERS = re.compile(r"((?:(?<=^@)|(?<=/@))-?\d+\.\d+|\d+)")
STALE = 6  # photos one after another at exactly one position: more than a stop has by chance
ASSUMED = "sequences, the interval along the route, folds and validation assume it"


def check_order(truth: GroundTruth, *, radius_m: float) -> Finding:
    """Check that neighbouring rows are neighbours on the ground, and that numbers are in order.

    A row's step to the next is a jump if it is longer than the radius, and than three times the
    distance to the row's fifth nearest image (of fewer than 40 rows, the second to fourth).

    Args:
        truth: Both sides of the set.
        radius_m: Images as near as this show the same place, so a step between them is not a jump.
    """
    words: list[str] = []
    numbers: dict[str, float] = {}
    for side, index in truth.sides():
        recordings = find_recordings(index.sequence, len(index.paths))
        parts = [rows for rows in recordings if len(rows) >= FEWEST_ROWS]
        steps = sum(len(rows) - 1 for rows in parts)
        jumps = sum(_count_jumps(index.coordinates[rows], radius_m) for rows in parts)
        share = jumps / max(1, steps)
        names = [[index.paths[row] for row in part] for part in parts]
        doubts = [doubt for part in names for doubt in (_text_order(part), _cameras(part)) if doubt]
        if share > MOST_JUMPS:
            doubts.append(f"{share:.0%} of the steps from row to row jump over nearer images")
        numbers[f"{side}_jumps"] = round(share, 3)
        words += [f"{side} side: {doubt}" for doubt in doubts[:2]]
    if not words:
        return Finding("order", "neighbouring rows are neighbours", Level.FINE, numbers)
    return Finding(
        "order",
        f"{'; '.join(words)}. Neighbouring rows should be neighbours on the route: {ASSUMED}",
        Level.NOTE,
        numbers,
    )


def check_fixes(truth: GroundTruth) -> Finding:
    """Find runs of photos at exactly one position, as a receiver without a new fix writes them.

    Views of one panorama have one position too, so a run counts only if it is much longer than
    most, and if its headings do not differ.
    """
    key, worst, numbers = "stale_fixes", [], {}
    for side, index in truth.sides():
        runs = _runs_at_one_place(index)
        least = max(STALE, JUMP * float(np.median([len(run) for run in runs])))
        stale = [run for run in runs if len(run) >= least]
        numbers[side] = sum(map(len, stale))
        if stale:
            longest = max(stale, key=len)
            worst.append(
                f"{numbers[side]} of {len(index.paths)} {side} photos are in {len(stale)} runs at "
                f"exactly one position, the longest of {len(longest)} from "
                f"{index.paths[longest[0]]!r}"
            )
    if not worst:
        return Finding(key, "no long run of photos has exactly one position", Level.FINE, numbers)
    advice = (
        "a stop, or a receiver that repeated its last fix: where these photos differ, drop them"
    )
    return Finding(key, f"{'; '.join(worst)}: {advice}", Level.NOTE, numbers)


def _runs_at_one_place(index: ImageIndex) -> list[NDArray[np.int64]]:
    looks = np.zeros(len(index.paths)) if index.heading is None else np.nan_to_num(index.heading)
    seen = np.column_stack([index.coordinates, looks])
    return [
        run
        for rows in find_recordings(index.sequence, len(index.paths))
        for run in np.split(rows, 1 + np.flatnonzero(np.diff(seen[rows], axis=0).any(axis=1)))
    ]


def check_density(database: ImageIndex, radius_m: float) -> Finding:
    """Measure how far database photos are apart, and find gaps along its recordings.

    A gap is a step in whose middle no database photo is within the radius.
    """
    key, places = "density", np.unique(database.coordinates, axis=0)
    if len(places) < FEWEST_ROWS:
        return Finding(key, f"{len(places)} places: too few to say")
    tree = cKDTree(places)
    apart = np.asarray(tree.query(places, k=2)[0])[:, 1]
    words = (
        f"a database place every {np.median(apart):.3g} m (median to its nearest; 95 % within "
        f"{np.quantile(apart, 0.95):.3g} m)"
    )
    numbers = {"median_m": round(float(np.median(apart)), 3), "gaps": 0}
    steps = [pair for rows in _routes(database, radius_m) for pair in pairwise(rows.tolist())]
    if steps:
        start, end = (database.coordinates[list(ends)] for ends in zip(*steps, strict=True))
        length = np.hypot(*(end - start).T)
        middle = np.asarray(tree.query((start + end) / 2)[0])
        gaps = np.flatnonzero((length > 2 * radius_m) & (middle > radius_m))
        numbers["gaps"] = len(gaps)
        if len(gaps):
            longest = gaps[np.argmax(length[gaps])]
            words += (
                f"; {len(gaps)} gaps of more than {2 * radius_m:g} m between neighbouring rows, "
                f"the longest of {length[longest]:.0f} m after "
                f"{database.paths[steps[longest][0]]!r}: a query in one has no positive"
            )
    return Finding(key, words, Level.FINE, numbers)


def _routes(index: ImageIndex, radius_m: float) -> list[NDArray[np.int64]]:
    """List the recordings whose rows follow a route."""
    return [
        rows
        for rows in find_recordings(index.sequence, len(index.paths))
        if len(rows) >= FEWEST_ROWS
        and _count_jumps(index.coordinates[rows], radius_m) <= MOST_JUMPS * len(rows)
    ]


def _count_jumps(places: NDArray[np.float64], radius_m: float) -> int:
    steps = np.hypot(*np.diff(places, axis=0).T)
    wide = steps > radius_m  # only of these neighbours are looked for: many may be at one place
    num_neighbours = min(NUM_NEIGHBOURS, 1 + len(places) // 10)
    distances, _ = cKDTree(places).query(places[:-1][wide], k=[num_neighbours + 1])
    return int(np.count_nonzero(steps[wide] > JUMP * np.asarray(distances)[:, 0]))


def _text_order(names: Sequence[str]) -> str | None:
    """Say that rows follow their names as text, where the numbers in them count otherwise."""
    if list(names) != sorted(names):
        return None
    for name, following in pairwise(names):
        parts = zip(NUMBERS.split(name), NUMBERS.split(following), strict=False)
        place, (one, other) = next(
            found for found in enumerate(parts) if found[1][0] != found[1][1]
        )
        if place % 2 and float(one) > float(other):  # numbers are at odd places
            return (
                f"rows are in the order of their names as text ({name!r} before {following!r}): "
                "write numbers with the same number of digits, or sort the rows"
            )
    return None


def _cameras(names: Sequence[str]) -> str | None:
    """Say that rows alternate between cameras, as their names tell."""
    cameras = [_camera(name) for name in names]
    changes = sum(a != b for a, b in pairwise(cameras))
    count = len(set(cameras))
    if not 1 < count <= len(names) / 4 or changes < len(names) / 2:
        return None
    return (
        f"rows alternate between {count} cameras or folders ({names[0]!r}, {names[1]!r}): group "
        "the rows by camera, each named in the column sequence"
    )


def _camera(name: str) -> str:
    """A name without its running numbers: folder, words, and the number of a camera."""
    path = PurePosixPath(name)
    if path.name.startswith("@"):
        return str(path.parent)
    cameras = [found[0] for found in CAMERA.finditer(path.name)]
    return " ".join([str(path.parent), NUMBERS.sub("#", path.name), *cameras])
