"""A table of photos with their positions: CSV as programs and spreadsheets write it, or GeoJSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import NO_POSITION, Asked, Collection, LeftOut, Shot, Side
from vpr.importing.columns import number, read_accuracy, read_heading, read_rows
from vpr.importing.exif import NOT_A_NUMBER, check_position
from vpr.importing.heic import SUFFIXES as HEIC_SUFFIXES
from vpr.importing.heic import content_of, describe_missing
from vpr.importing.placing import safe_name
from vpr.places.photos import with_slashes

WORDS = "a table (.csv, .tsv, .geojson) of photos with their positions"
GIVES_WAY = False

SUFFIXES = {".csv", ".tsv", ".geojson"}
GUESSED = (".jpg", ".jpeg", ".JPG", ".png")  # of a photo that is named without its suffix
LATEST_S = 1e11  # seconds since 1970, in the year 5138; more are milliseconds, or less
COLUMNS = {  # names in small letters, without signs
    "path": ("path", "file", "filename", "filepath", "image", "imagepath", "imagename", "photo",
             "img", "name"),
    "latitude": ("latitude", "lat", "gpslatitude"),
    "longitude": ("longitude", "lon", "lng", "long", "gpslongitude"),
    "easting": ("easting", "east", "utmeast", "utmeasting", "utme", "eastingm"),
    "northing": ("northing", "north", "utmnorth", "utmnorthing", "utmn", "northingm"),
    "x": ("x", "coordx", "xcoord"),
    "y": ("y", "coordy", "ycoord"),
    "sequence": ("sequence", "sequenceid", "sequencekey", "drive", "track", "recording", "run"),
    "heading": ("heading", "bearing", "direction", "azimuth", "compass", "compassangle", "ca",
                "gpsimgdirection"),
    "time": ("time", "timestamp", "datetime", "date", "capturedat", "datetimeoriginal"),
    "accuracy": ("accuracy", "accuracym", "horizontalaccuracy", "gpshpositioningerror"),
    "side": ("side", "split", "role", "subset"),
}  # fmt: skip
SIDES: dict[str, Side] = {
    **dict.fromkeys(("database", "db", "reference", "ref", "gallery", "map"), "database"),
    **dict.fromkeys(("query", "queries", "q", "probe"), "query"),
}  # fmt: skip
GLOBE, PLANE, EITHER = ("longitude", "latitude"), ("easting", "northing"), ("x", "y")

Row = Mapping[str, Any]


def recognises(source: Path) -> bool:
    """Return whether a source is a table, by its name."""
    return source.is_file() and source.suffix.lower() in SUFFIXES


def read(source: Path, asked: Asked) -> Collection:
    """Read a table; rows that cannot be used are left out.

    Raises:
        ValueError: If it is not a table, or its columns are ambiguous.
    """
    suffix = source.suffix.lower()
    found = Collection(f"a table, {suffix}")
    rows: Iterator[Row] = (
        _features(source, found.left_out) if suffix == ".geojson"
        else read_rows(source, left_out=found.left_out)
    )  # fmt: skip
    first = next(rows, {})
    columns = _find_columns(source, first, asked)
    place = _find_place(source, columns, asked)
    if place == EITHER:
        first, *others = listed = [first, *rows]
        rows = iter(others)
        names = [columns[axis] for axis in EITHER]
        place = _tell_degrees(source, listed, names)
        columns |= dict(zip(place, names, strict=True))
    if place == PLANE:
        found.crs = _crs_of(source, asked)
    folder = source.parent if asked.images is None else asked.images
    zoneless = 0
    for row in chain([first], rows):
        cells = {meaning: row.get(name) for meaning, name in columns.items()}
        shot = _to_shot(found, cells, place, folder, asked)
        if shot is not None:
            time, is_zoneless = _read_time(cells.get("time"))
            found.shots.append(replace(shot, time=time))
            zoneless += is_zoneless
    missing = found.left_out.counts["missing"]
    if missing and not found.shots:
        raise ValueError(
            f"{source}: none of its {missing} photos is in {folder} "
            f"(first {found.left_out.first['missing']}): --images names their folder"
        )
    if zoneless:
        found.notes.append(f"{source.name}: {zoneless} times have no zone and are taken as UTC")
    return found


def _features(source: Path, left_out: LeftOut) -> Iterator[Row]:
    """Yield the points of a GeoJSON file, their properties by name."""
    try:
        features = [*json.loads(source.read_text(encoding="utf-8-sig"))["features"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{source}: not a readable FeatureCollection: {error!r:.80}") from None
    for row, feature in enumerate(features):
        try:
            geometry = feature["geometry"]
            longitude, latitude = geometry["coordinates"][:2]
            if geometry["type"] != "Point":
                raise ValueError("no point")
            yield {**feature["properties"], "longitude": longitude, "latitude": latitude}
        except (KeyError, TypeError, ValueError):
            left_out.add("features that are not points with properties", f"feature {row}")


def _find_columns(source: Path, row: Row, asked: Asked) -> dict[str, str]:
    """Find the name of each column by its meaning."""
    unknown = [meaning for meaning in asked.columns if meaning not in COLUMNS]
    absent = [name for name in asked.columns.values() if name not in row]
    if unknown or absent:
        raise ValueError(
            f"{source}: --column {(unknown or absent)[0]}: expected one of {', '.join(COLUMNS)} = "
            f"one of {', '.join(row)}"
        )
    plain = {re.sub(r"[\W_]+", "", name.lower()): name for name in reversed([*row])}
    columns = {
        meaning: plain[word]
        for meaning, words in COLUMNS.items()
        for word in reversed(words)  # the first of those that are there counts
        if word in plain
    } | dict(asked.columns)
    if "path" not in columns:
        raise ValueError(
            f"{source}: which column has the photos' paths? --column path=NAME, one of "
            f"{', '.join(row) or 'none: the table is empty'}"
        )
    return columns


def _find_place(source: Path, columns: Mapping[str, str], asked: Asked) -> tuple[str, str] | None:
    """Find which two columns are the position: degrees before metres, and what is asked for first.

    Raises:
        ValueError: If there are none.
    """
    by_wish = sorted((GLOBE, PLANE, EITHER), key=lambda pair: pair[0] not in asked.columns)
    place = next((pair for pair in by_wish if columns.keys() >= set(pair)), None)
    if place is None and asked.labels:
        raise ValueError(
            f"{source}: which columns are the position? --column latitude=NAME --column "
            "longitude=NAME, or easting and northing; or --no-labels"
        )
    return place


def _tell_degrees(source: Path, rows: Sequence[Row], names: Sequence[str]) -> tuple[str, str]:
    """Tell whether columns x and y are longitude and latitude, or metres.

    Within 1 x 1 metres there is no route, and within more than 1 x 1 degrees no town.

    Raises:
        ValueError: If they could be both.
    """
    read = [[number(row.get(name)) for name in names] for row in rows]
    values = np.array([pair for pair in read if None not in pair], np.float64).reshape(-1, 2)
    if (np.abs(values) > (180, 90)).any():
        return PLANE
    if len(values) and (np.ptp(values, axis=0) < 1).all():
        return GLOBE
    raise ValueError(
        f"{source}: {names[0]} and {names[1]} could be degrees or metres: --column longitude="
        f"{names[0]} --column latitude={names[1]}, or easting and northing"
    )


def _crs_of(source: Path, asked: Asked) -> str | None:
    if asked.crs is None:
        raise ValueError(
            f"{source}: easting and northing of which reference system? --crs EPSG:32633, or "
            "--crs none if they are of no place on Earth"
        )
    return None if asked.crs == "none" else asked.crs


def _to_shot(
    found: Collection, cells: Row, place: tuple[str, str] | None, folder: Path, asked: Asked
) -> Shot | None:
    """Make a shot of a row, without its time; None if it is left out."""
    path = str(cells["path"] or "")
    at, problem = (None, None) if place is None else _read_place(cells, place)
    file = _find_file(folder, path)
    if not (problem and asked.labels):
        problem = _problem_of(file)
    if problem:
        found.left_out.add(problem, path)
        return None
    below = file.relative_to(folder).parts if file.is_relative_to(folder) else file.parts[-2:]
    content, name = content_of(file, safe_name(part for part in below if part != ".."))
    return Shot(
        name, content, at,
        heading=read_heading(cells.get("heading")), accuracy_m=read_accuracy(cells.get("accuracy")),
        sequence=str(cells.get("sequence") or "") or None,
        side=SIDES.get(str(cells.get("side") or "").lower()),
    )  # fmt: skip


def _read_place(cells: Row, place: tuple[str, str]) -> tuple[tuple[float, float] | None, str]:
    """Read a position, or say what is wrong with it."""
    east, north = (number(cells[name]) for name in place)
    if all(cells[name] in ("", None) for name in place):
        return None, NO_POSITION
    if place == GLOBE:
        return check_position(north, east)
    return ((east, north), "") if math.isfinite(east + north) else (None, NOT_A_NUMBER)


def _problem_of(file: Path) -> str | None:
    """Say why a file is left out; None if it is read."""
    if not file.is_file():
        return "missing"
    suffix = file.suffix.lower()
    if suffix in HEIC_SUFFIXES:
        return describe_missing()
    return None if suffix in READ_SUFFIXES else f"in a format that is not read, {suffix}"


def _find_file(folder: Path, path: str) -> Path:
    """Find a photo also by a path that Windows wrote, or one without its suffix."""
    names = (text + suffix for text in (path, with_slashes(path)) for suffix in ("", *GUESSED))
    return next((folder / name for name in names if (folder / name).is_file()), folder / path)


def _read_time(value: object) -> tuple[float | None, bool]:
    """Read seconds, milli-, micro- or nanoseconds since 1970, or a date as ISO 8601 writes it.

    Returns:
        Seconds, and whether they are of a date without a zone, which is taken as UTC.
    """
    seconds = number(value)
    if math.isfinite(seconds):
        while abs(seconds) > LATEST_S:
            seconds /= 1000
        return seconds, False
    try:
        moment = datetime.fromisoformat(str(value or ""))
    except ValueError:
        return None, False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), not moment.tzinfo
