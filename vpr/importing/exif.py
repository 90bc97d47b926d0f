"""Where, when and which way a photo was taken, as its EXIF data say it: with all they get wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from vpr.importing.collection import NO_POSITION

UNSIGNED = 2**32  # what a negative number becomes that is written as an unsigned one
SIGNED_FROM = 2**31
MOST_OFFSET = timedelta(hours=14)  # of a time zone
OFFSET_STEP = timedelta(minutes=15)  # of which time zones are multiples
OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
DEGREES_TEXT = re.compile(r"([\d., ]+?)\s*([NSEW]?)", re.IGNORECASE)

DEGREES_PER_HOUR, HOUR_S = 15, 3600

NOT_A_NUMBER = "with a position that is not a number"
ZERO = "at 0, 0: the position was taken out, or there was no fix"
NO_HEMISPHERE = "with a position that does not say N or S, E or W"
OUT_OF_RANGE = "with a position off the globe"


@dataclass(frozen=True)
class Taken:
    """Where, when and which way.

    Args:
        at: Latitude and longitude in degrees; None: see the problem.
        problem: Why there is no position, as a reason to leave the photo out.
        accuracy_m: As the phone estimates it.
        heading: Degrees clockwise from north.
        is_magnetic: Whether that is magnetic north.
        time: Seconds since 1970 in UTC, or if the zone is unknown, as if the clock showed UTC.
        has_zone: Whether the zone of the time is known.
    """

    at: tuple[float, float] | None = None
    problem: str = NO_POSITION
    accuracy_m: float | None = None
    heading: float | None = None
    is_magnetic: bool = False
    time: float | None = None
    has_zone: bool = False


def read_exif(exif: Image.Exif) -> Taken:
    """Read what the EXIF data of a photo say; damaged data say nothing."""
    try:
        gps, shot = dict(exif.get_ifd(IFD.GPSInfo)), dict(exif.get_ifd(IFD.Exif))
    except Exception:  # damaged bytes raise many kinds in Pillow's reader
        return Taken(problem="with damaged EXIF data")
    at, problem = parse_position(
        gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef),
        gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef),
    )  # fmt: skip
    time, has_zone = _read_time(shot | {Base.DateTime: exif.get(Base.DateTime)}, gps)
    heading, accuracy = (
        _number(gps.get(GPS.GPSImgDirection)),
        _number(gps.get(GPS.GPSHPositioningError)),
    )
    return Taken(
        at, problem, accuracy_m=accuracy if accuracy and accuracy > 0 else None,
        heading=None if heading is None or not 0 <= heading < 720 else heading % 360,
        is_magnetic=_text(gps.get(GPS.GPSImgDirectionRef)).upper() == "M",
        time=time, has_zone=has_zone,
    )  # fmt: skip


def parse_position(
    latitude: object, latitude_ref: object, longitude: object, longitude_ref: object
) -> tuple[tuple[float, float] | None, str]:
    """Read a position in any of the ways that cameras write it.

    Numbers may be one, two or three (degrees, minutes, seconds), or text such as `47,30.5N`, and
    have a sign, which a letter may repeat.

    Returns:
        Latitude and longitude, or None and why not.
    """
    if latitude is None or longitude is None:
        return None, NO_POSITION
    values = []
    for value, ref, letters in ((latitude, latitude_ref, "NS"), (longitude, longitude_ref, "EW")):
        parts, letter = _split_degrees(value)
        letter = letter or _text(ref).upper()[:1]
        if not parts or not all(map(math.isfinite, parts)):
            return None, NOT_A_NUMBER
        size = sum(abs(part) / 60**place for place, part in enumerate(parts))
        is_negative = any(math.copysign(1, part) < 0 for part in parts)
        if letter not in tuple(letters) and not is_negative and size:
            return None, NO_HEMISPHERE
        values.append(-size if is_negative or letter == letters[1] else size)
    if values == [0, 0]:
        return None, ZERO
    if abs(values[0]) > 90 or abs(values[1]) > 180:
        return None, OUT_OF_RANGE
    return (values[0], values[1]), ""


def merge(taken: Taken, other: Taken) -> Taken:
    """Fill in what a photo does not say from what is known of it otherwise.

    Args:
        taken: What the photo says.
        other: What another file says: its time is UTC.
    """
    time, has_zone = taken.time, taken.has_zone
    if other.time is not None and not has_zone:
        offset = None if time is None else find_zone(time, other.time)
        time, has_zone = other.time if time is None or offset is None else time - offset, True
    return replace(
        taken, at=taken.at or other.at, time=time, has_zone=has_zone,
        problem=taken.problem if taken.problem != NO_POSITION else other.problem,
        accuracy_m=taken.accuracy_m if taken.at else other.accuracy_m,
    )  # fmt: skip


def to_utc(taken: Taken) -> float | None:
    """Tell when a photo was taken in UTC, where its zone is unknown by the sun at its place."""
    if taken.time is None or taken.has_zone or taken.at is None:
        return taken.time
    return taken.time - round(taken.at[1] / DEGREES_PER_HOUR) * HOUR_S


def parse_moment(text: str) -> float | None:
    """Read `2026-10-02T08:00:02Z`; None if it is no time, or has no zone."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def find_zone(local: float, utc: float) -> float | None:
    """Find the offset of a clock's zone from a time that is UTC; None if it cannot be one.

    Args:
        local: A time as if the clock showed UTC, in seconds.
        utc: About the same moment, in seconds.

    Returns:
        Seconds, a multiple of 15 minutes.
    """
    step = OFFSET_STEP.total_seconds()
    offset = round((local - utc) / step) * step
    return offset if abs(offset) <= MOST_OFFSET.total_seconds() else None


def _split_degrees(value: object) -> tuple[list[float], str]:
    """Split a latitude or longitude into its numbers, and the letter that text may end in."""
    if isinstance(value, (str, bytes)):
        match = DEGREES_TEXT.fullmatch(_text(value))
        if match is None:
            return [], ""
        try:
            return [float(part) for part in re.split(r"[, ]+", match[1])], match[2].upper()
        except ValueError:
            return [], ""
    parts = value if isinstance(value, (tuple, list)) else [value]
    numbers = [_number(part, keep_nan=True) for part in parts]
    if len(numbers) > 3 or None in numbers:
        return [], ""
    return [n - UNSIGNED if n >= SIGNED_FROM else n for n in numbers if n is not None], ""


def _read_time(shot: Mapping[int, Any], gps: Mapping[int, Any]) -> tuple[float | None, bool]:
    """Read when the photo was taken, and whether that is known in UTC."""
    utc = _gps_time(gps)
    for key, zone_key, part_key in (
        (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal),
        (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
        (Base.DateTime, Base.OffsetTime, Base.SubsecTime),
    ):
        try:
            naive = datetime.strptime(_text(shot.get(key)), "%Y:%m:%d %H:%M:%S")
            local = naive.replace(tzinfo=UTC).timestamp()
        except ValueError:  # blanks, 0000:00:00 00:00:00
            continue
        digits = _text(shot.get(part_key))
        local += float(f"0.{digits}") if digits.isdecimal() else 0.0
        offset = _offset(_text(shot.get(zone_key)))
        if offset is None and utc is not None:
            offset = find_zone(local, utc)
        return (local, False) if offset is None else (local - offset, True)
    return utc, utc is not None


def _gps_time(gps: Mapping[int, Any]) -> float | None:
    """Read the time that satellites told, which is UTC."""
    clock = gps.get(GPS.GPSTimeStamp)
    parts = [_number(part) for part in clock] if isinstance(clock, tuple) else []
    if len(parts) != 3 or None in parts:
        return None
    hours, minutes, seconds = (part or 0.0 for part in parts)
    try:
        day = datetime.strptime(_text(gps.get(GPS.GPSDateStamp)), "%Y:%m:%d")
        return (
            day.replace(tzinfo=UTC) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        ).timestamp()
    except (ValueError, OverflowError):
        return None


def _offset(text: str) -> float | None:
    if text == "Z":
        return 0.0
    match = OFFSET.fullmatch(text)
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    if size > MOST_OFFSET:
        return None
    return timezone(size if match[1] == "+" else -size).utcoffset(None).total_seconds()


def _text(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip("\0 \t\r\n") if isinstance(text, str) else ""


def _number(value: object, *, keep_nan: bool = False) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if keep_nan or math.isfinite(number) else None
