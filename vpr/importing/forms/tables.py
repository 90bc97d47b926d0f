"""A table of photos with their positions: CSV as programs and spreadsheets write it, or GeoJSON."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import DEGREES, NO_POSITION, Asked, Collection, LeftOut, Shot, Side
from vpr.importing.heic import SUFFIXES as HEIC_SUFFIXES
from vpr.importing.heic import content_of, describe_missing
from vpr.importing.placing import safe_name
from vpr.places.photos import with_slashes

WORDS = "a table (.csv, .tsv, .geojson) of photos with their positions"
GIVES_WAY = False

SUFFIXES = {".csv", ".tsv", ".geojson"}
SEPARATORS = ",;\t|"
GUESSED = (".jpg", ".jpeg", ".JPG", ".png")  # of a photo that is named without its suffix
LATEST_S = 1e11  # seconds since 1970, in the year 5138; more are milliseconds, or less
MOST_BYTES = 2**29  # of a .geojson file
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
PLACES = (("longitude", "latitude"), ("easting", "northing"), ("x", "y"))

Row = Mapping[str, Any]


def recognises(source: Path) -> bool:
    """Return whether a source is a table, by its name."""
    return source.is_file() and source.suffix.lower() in SUFFIXES


def read(source: Path, asked: Asked) -> Collection:
    """Read a table; rows that cannot be used are left out.

    Raises:
        ValueError: If it is no table, or does not tell which columns are meant.
    """
    found = Collection(f"a table, {source.suffix.lower()}")
    rows = _features if source.suffix.lower() == ".geojson" else _lines
    columns = _find_columns(source, next(rows(source, LeftOut()), {}), asked)
    place = _find_place(source, columns, asked)
    if place == ("x", "y"):
        place = _tell_degrees(source, rows(source, LeftOut()), (columns["x"], columns["y"]))
        columns |= {place[0]: columns["x"], place[1]: columns["y"]}
    if place == ("easting", "northing"):
        found.crs = _crs_of(source, asked)
    folder = source.parent if asked.images is None else asked.images
    zoneless = 0
    for row in rows(source, found.left_out):
        cells = {meaning: row.get(name) for meaning, name in columns.items()}
        shot = _to_shot(found, cells, place, folder, asked)
        if shot is not None:
            found.shots.append(shot)
            zoneless += _is_zoneless(cells.get("time"))
    missing = found.left_out.counts["missing"]
    if missing and not found.shots:
        raise ValueError(
            f"{source}: none of its {missing} photos is in {folder} "
            f"(first {found.left_out.first['missing']}): --images names their folder"
        )
    if zoneless:
        found.notes.append(f"{source.name}: {zoneless} times have no zone and are taken as UTC")
    return found


def _lines(source: Path, left_out: LeftOut) -> Iterator[Row]:
    """Yield the rows of a CSV file by column; a line that cannot be read is left out."""
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            separator = max(SEPARATORS, key=header.count)
            names = next(csv.reader([header], delimiter=separator), [])
            table = csv.reader(file, delimiter=separator)
            while True:
                try:
                    fields = next(table)
                except StopIteration:
                    return
                except csv.Error as error:
                    left_out.add(f"lines that cannot be read: {error}", _line(table))
                    continue
                if len(fields) == len(names):
                    yield dict(zip(names, fields, strict=True))
                elif fields:
                    left_out.add("lines with too many or too few fields", _line(table))
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not in UTF-8: save it as CSV UTF-8 ({error})") from None


def _line(table: Any) -> str:  # noqa: ANN401 - a reader of csv has no public type
    return f"line {table.line_num + 1}"


def _features(source: Path, left_out: LeftOut) -> Iterator[Row]:
    """Yield the points of a GeoJSON file, their properties by name."""
    if source.stat().st_size > MOST_BYTES:
        raise ValueError(f"{source}: expected at most {MOST_BYTES:,} bytes: make it a CSV")
    try:
        content = json.loads(source.read_text(encoding="utf-8-sig"))
        features = [*content["features"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{source}: not a readable FeatureCollection: {error!r:.80}") from None
    for number, feature in enumerate(features):
        try:
            geometry = feature["geometry"]
            longitude, latitude = geometry["coordinates"][:2]
            if geometry["type"] != "Point":
                raise ValueError("no point")
            yield {**feature["properties"], "longitude": longitude, "latitude": latitude}
        except (KeyError, TypeError, ValueError):
            left_out.add("features that are not points with properties", f"feature {number}")


def _find_columns(source: Path, row: Row, asked: Asked) -> dict[str, str]:
    """Find the name of each column by its meaning."""
    unknown = [meaning for meaning in asked.columns if meaning not in COLUMNS]
    absent = [name for name in asked.columns.values() if name not in row]
    if unknown or absent:
        raise ValueError(
            f"{source}: --column {(unknown or absent)[0]}: expected one of {', '.join(COLUMNS)} = "
            f"one of {', '.join(row)}"
        )
    columns = {}
    for meaning, known in COLUMNS.items():
        those = [name for name in row if re.sub(r"[\W_]+", "", name.lower()) in known]
        those.sort(key=lambda name: known.index(re.sub(r"[\W_]+", "", name.lower())))
        if those:
            columns[meaning] = those[0]
    columns |= asked.columns
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
    by_wish = sorted(PLACES, key=lambda pair: pair[0] not in asked.columns)
    place = next((pair for pair in by_wish if columns.keys() >= set(pair)), None)
    if place is None and asked.labels:
        raise ValueError(
            f"{source}: which columns are the position? --column latitude=NAME --column "
            "longitude=NAME, or easting and northing; or --no-labels"
        )
    return place


def _tell_degrees(source: Path, rows: Iterator[Row], names: tuple[str, str]) -> tuple[str, str]:
    """Tell whether columns x and y are longitude and latitude, or metres.

    Within 1 x 1 metres there is no route, and within more than 1 x 1 degrees no town.

    Raises:
        ValueError: If they could be both.
    """
    low, high = np.full(2, math.inf), np.full(2, -math.inf)
    for row in rows:
        values = [_number(row.get(name)) for name in names]
        if None not in values:
            low, high = np.fmin(low, values), np.fmax(high, values)  # type: ignore[arg-type]
    largest = np.maximum(np.abs(low), np.abs(high))
    if (largest > (180, 90)).any():
        return "easting", "northing"
    if (high - low < 1).all():
        return "longitude", "latitude"
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
    """Make a shot of a row; None if it is left out."""
    path = str(cells["path"] or "")
    at = None
    if place is not None:
        one, other = (_number(cells[name]) for name in place)
        at = None if one is None or other is None else (one, other)
        at = at[::-1] if at and found.crs == DEGREES else at  # latitude first
        problem = _problem(at, cells, place, is_globe=found.crs == DEGREES)
        if problem and asked.labels:
            found.left_out.add(problem, path)
            return None
        at = None if problem else at
    file = _find_file(folder, path)
    if file is None:
        found.left_out.add("missing", path)
        return None
    suffix = file.suffix.lower()
    missing = describe_missing() if suffix in HEIC_SUFFIXES else None
    if missing or suffix not in READ_SUFFIXES | HEIC_SUFFIXES:
        found.left_out.add(missing or f"in a format that is not read, {suffix}", path)
        return None
    parts = PurePosixPath(file.as_posix()).parts
    below = file.relative_to(folder).parts if file.is_relative_to(folder) else parts[-2:]
    content, name = content_of(file, safe_name(part for part in below if part != ".."))
    heading, accuracy = (_number(cells.get(name)) for name in ("heading", "accuracy"))
    return Shot(
        name, content, at, _time(cells.get("time")),
        heading=None if heading is None or not 0 <= heading < 720 else heading % 360,
        accuracy_m=accuracy if accuracy and accuracy > 0 else None,
        sequence=str(cells.get("sequence") or "") or None,
        side=SIDES.get(str(cells.get("side") or "").strip().lower()),
    )  # fmt: skip


def _problem(
    at: tuple[float, float] | None, cells: Row, place: tuple[str, str], *, is_globe: bool
) -> str | None:
    """Say what is wrong with a position, if anything is."""
    if at is None:
        is_empty = not any(str(cells[name] or "").strip() for name in place)
        return NO_POSITION if is_empty else "with a position that is not a number"
    if is_globe and at == (0, 0):
        return "at 0, 0: a missing position"
    if is_globe and (abs(at[0]) > 90 or abs(at[1]) > 180):
        return "with a position off the globe"
    return None


def _find_file(folder: Path, path: str) -> Path | None:
    if not path or "\0" in path:
        return None
    for text in dict.fromkeys((path, with_slashes(path))):
        for suffix in ("", *GUESSED):
            file = folder / (text + suffix)
            if file.is_file():
                return file
    return None


def _number(value: object) -> float | None:
    """Read a number, also with a decimal comma."""
    text = str("" if value is None else value).strip()
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> float | None:
    """Read seconds, milli-, micro- or nanoseconds since 1970, or a date as ISO 8601 writes it."""
    number = _number(value)
    if number is not None:
        while abs(number) > LATEST_S:
            number /= 1000
        return number
    try:
        moment = datetime.fromisoformat(str(value or "").strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_zoneless(value: object) -> bool:
    if _number(value) is not None:
        return False
    try:
        return datetime.fromisoformat(str(value or "").strip()).tzinfo is None
    except ValueError:
        return False
