"""Where, when and which way a photo was taken, as its EXIF data say it: with all they get wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from vpr.importing.collection import NO_POSITION
from vpr.importing.columns import number, read_accuracy, read_heading

SIGNED_FROM = 2**31  # from here on, a negative number was written as an unsigned one
MOST_OFFSET_S = 14 * 3600  # of a time zone
OFFSET_STEP_S = 15 * 60  # of which time zones are multiples
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
    return Taken(
        at, problem, accuracy_m=read_accuracy(gps.get(GPS.GPSHPositioningError)),
        heading=read_heading(gps.get(GPS.GPSImgDirection)),
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
        size = sum(abs(part) / 60**place for place, part in enumerate(parts))
        is_negative = any(math.copysign(1, part) < 0 for part in parts)
        if letter not in tuple(letters) and not is_negative and size > 0:
            return None, NO_HEMISPHERE
        values.append(-size if is_negative or letter == letters[1] else size)
    return check_position(*values)


def check_position(latitude: float, longitude: float) -> tuple[tuple[float, float] | None, str]:
    """Check degrees, as `parse_position` returns them."""
    if not math.isfinite(latitude + longitude):
        return None, NOT_A_NUMBER
    if latitude == longitude == 0:
        return None, ZERO
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None, OUT_OF_RANGE
    return (latitude, longitude), ""


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
    """Read `2026-10-02T08:00:02Z`; None if it is not a time, or has no zone."""
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
    offset = round((local - utc) / OFFSET_STEP_S) * OFFSET_STEP_S
    return offset if abs(offset) <= MOST_OFFSET_S else None


def _split_degrees(value: object) -> tuple[list[float], str]:
    """Split a latitude or longitude into its numbers, and the letter that text may end in."""
    letter = ""
    if isinstance(value, (str, bytes)):
        text = _text(value).upper()
        letter = text[-1:] if text.endswith(tuple("NSEW")) else ""
        value = re.split(r"[, ]+", text.removesuffix(letter).strip())
    parts = value if isinstance(value, (tuple, list)) else [value]
    numbers = [number(part) for part in parts] if 1 <= len(parts) <= 3 else [math.nan]
    return [n - 2 * SIGNED_FROM if n >= SIGNED_FROM else n for n in numbers], letter


def _read_time(shot: Mapping[int, Any], gps: Mapping[int, Any]) -> tuple[float | None, bool]:
    """Read when the photo was taken, and whether that is known in UTC."""
    utc = _gps_time(gps)
    for key, zone_key, part_key in (
        (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal),
        (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
        (Base.DateTime, Base.OffsetTime, Base.SubsecTime),
    ):
        clock, zone, digits = (_text(shot.get(name)) for name in (key, zone_key, part_key))
        local, zoned = _parse_clock(f"{clock}Z"), _parse_clock(clock + zone)
        if local is None:  # blanks, 0000:00:00 00:00:00
            continue
        part = float(f"0.{digits}") if digits.isdecimal() else 0.0
        if zoned is not None:
            return zoned + part, True
        offset = None if utc is None else find_zone(local + part, utc)
        return local + part - (offset or 0.0), offset is not None
    return utc, utc is not None


def _parse_clock(text: str) -> float | None:
    """Read `2026:10:02 12:00:00+02:00` as seconds since 1970; None if it is not such a time."""
    try:
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S%z").timestamp()
    except (ValueError, OverflowError):
        return None


def _gps_time(gps: Mapping[int, Any]) -> float | None:
    """Read the time that satellites told, which is UTC."""
    clock = gps.get(GPS.GPSTimeStamp)
    seconds = [number(part) for part in clock] if isinstance(clock, tuple) else []
    day = _parse_clock(f"{_text(gps.get(GPS.GPSDateStamp))} 00:00:00Z")
    if day is None or len(seconds) != 3 or not all(map(math.isfinite, seconds)):
        return None
    return day + seconds[0] * HOUR_S + seconds[1] * 60 + seconds[2]


def _text(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip("\0 \t\r\n") if isinstance(text, str) else ""
