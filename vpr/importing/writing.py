"""Writing an import: two tables and their photos, as links where the disk allows them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vpr.console.progress import track
from vpr.importing.collection import LeftOut, Made, Shot, Side
from vpr.importing.splitting import Plan
from vpr.runtime.artefacts import built_aside, replaced_whole

COLUMNS = ("path", "easting", "northing", "sequence", "heading", "time", "accuracy")
REQUIRED = 3  # columns that a table has in any case, where positions are known
TABLES: dict[Side, str] = {"database": "database.csv", "query": "query.csv"}
RECORD, MAP = "import.json", "map.svg"
VERSION = 1  # of what is written for the same plan
WIDTH_PX, MARGIN_PX = 800, 40
MOST_POINTS = 3000  # of a side
COLOURS: dict[Side, str] = {"database": "#4477aa", "query": "#cc3311"}


def is_current(folder: Path, plan: Plan) -> bool:
    """Return whether a folder is what this plan would write.

    Raises:
        ValueError: If the folder is something else than an earlier import.
    """
    if not folder.exists():
        return False
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return bool(record["digest"] == _key(plan))
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder}: exists and was not made by import (it has no {RECORD}): choose another name"
        ) from None


def write_set(folder: Path, plan: Plan, *, copy: bool = False) -> LeftOut:
    """Write a plan to a folder, whole or not at all; an interrupted import continues.

    Args:
        folder: The folder to create, or to replace if an earlier import made it.
        plan: What to write.
        copy: Whether to copy photos where a link is possible.

    Returns:
        Photos that could not be made after all, by reason.

    Raises:
        ValueError: If nothing is left of a side.
    """
    left_out = LeftOut()
    with built_aside(folder, key=_key(plan)) as (aside,):
        aside.mkdir(exist_ok=True)
        total = sum(map(len, plan.sides.values()))
        shots = (shot for those in plan.sides.values() for shot in those)
        kept = set(_write_photos(aside, track(shots, total=total, title="photos"), left_out, copy))
        for side, those in plan.sides.items():
            rows = [shot for shot in those if shot.name in kept]
            if not rows:
                raise ValueError(f"no photo of the {side} side can be read: {left_out.lines()[0]}")
            has_places = plan.labels or side == "database"
            has_places &= all(shot.at is not None for shot in rows)
            _write_table(aside / TABLES[side], rows, has_places=has_places)
        picture = draw_map(plan.sides)
        if picture is not None:
            (aside / MAP).write_text(picture, encoding="utf-8")
        _write_record(aside / RECORD, plan, left_out)
    return left_out


def _write_photos(
    folder: Path, shots: Iterable[Shot], left_out: LeftOut, copy: bool
) -> Iterator[str]:
    """Write photos that are not there yet, and yield the names of those that are then."""
    for shot in shots:
        target = folder / shot.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            try:
                write_photo(target, shot.content, copy=copy)
            except ValueError as error:
                left_out.add(str(error), shot.name)
                continue
        yield shot.name


def write_photo(target: Path, content: Path | Made, *, copy: bool) -> None:
    """Write a photo as a link to its file, or as a copy where the disk has no links."""
    if not isinstance(content, Path):
        made = content()
        with replaced_whole(target) as file:
            file.write(made)
        return
    if not copy:
        with suppress(OSError):  # another disk, or one without links
            os.link(content.resolve(), target)
            return
    with content.open("rb") as source, replaced_whole(target) as file:
        shutil.copyfileobj(source, file)


def _write_table(path: Path, shots: list[Shot], *, has_places: bool) -> None:
    rows = [cells(shot) for shot in shots]
    if not has_places:
        rows = [(row[0], None, None, *row[REQUIRED:]) for row in rows]
    used = [place for place in range(len(COLUMNS)) if any(row[place] is not None for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS[place] for place in used)
        table.writerows([row[place] for place in used] for row in rows)


def _write_record(path: Path, plan: Plan, left_out: LeftOut) -> None:
    counts = plan.left_out.counts + left_out.counts
    record = {
        "digest": _key(plan), "crs": plan.crs, "split": plan.words,
        "left_out": dict(counts.most_common()), "notes": plan.notes,
    }  # fmt: skip
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _key(plan: Plan) -> str:
    """Digest of everything that will be written; files count by place, size and time."""
    content = hashlib.sha256(repr((plan.crs, plan.labels)).encode())
    for side, shots in plan.sides.items():
        for shot in shots:
            found = shot.file.stat()
            made = None if isinstance(shot.content, Path) else shot.content
            stamp = shot.file.resolve(), found.st_size, found.st_mtime_ns, made
            content.update(repr((side, *cells(shot), stamp)).encode())
    return f"{VERSION}-{content.hexdigest()[:32]}"


def cells(shot: Shot) -> tuple[str | float | None, ...]:
    """Cells of a photo's row, in the order of `COLUMNS`."""
    time = None
    if shot.time is not None:
        moment = datetime.fromtimestamp(shot.time, UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = shot.at or (None, None)
    return shot.name, *place, shot.sequence, shot.heading, time, shot.accuracy_m


def draw_map(sides: Mapping[Side, Sequence[Shot]]) -> str | None:
    """Draw the places of both sides, north up, with a bar of their scale; None without places.

    Args:
        sides: Photos of each side; positions are easting and northing in metres.
    """
    places = {
        side: np.array([shot.at for shot in shots if shot.at is not None]).reshape(-1, 2)
        for side, shots in sides.items()
    }
    every = np.concatenate([*places.values()])
    if not len(every):
        return None
    low, extent = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1.0)
    scale = (WIDTH_PX - 2 * MARGIN_PX) / extent.max()
    height = round(extent[1] * scale) + 3 * MARGIN_PX
    bar_m = 10 ** int(np.log10(extent.max() / 2))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height}" '
        'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, (side, those) in enumerate(places.items()):
        points = (those[:: max(1, len(those) // MOST_POINTS)] - low) * scale
        lines += [
            f'<circle cx="{east + MARGIN_PX:.1f}" cy="{height - MARGIN_PX - north:.1f}" r="3" '
            f'fill="{COLOURS[side]}" fill-opacity="0.6"/>'
            for east, north in points
        ]
        lines.append(
            f'<text x="{MARGIN_PX + 160 * row}" y="24" fill="{COLOURS[side]}">{side} '
            f"({len(sides[side]):,})</text>"
        )
    end = WIDTH_PX - MARGIN_PX
    lines.append(
        f'<path d="M{end - bar_m * scale:.1f} 30H{end}" stroke="black" stroke-width="2"/>'
        f'<text x="{end}" y="22" text-anchor="end">{bar_m:,} m</text></svg>'
    )
    return "\n".join(lines) + "\n"
