"""NMEA logs of satellite receivers: positions from valid RMC and GGA sentences, by pynmea2."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

INSTALL = "pip install pynmea2==1.19.0"
SENTENCE = re.compile(r"(?:\[(\d{1,16})\])?\s*(\$(?!P)[A-Z]{2}(?:RMC|GGA),[^\[\r\n]*)")
FIXED = range(1, 6)  # qualities of a GGA's fix; 0 is none, and 6 to 8 are estimates
DIRECTIONS = ("NE", "NW", "SE", "SW")
FIRST_YEAR = 2000  # an earlier date is of a receiver whose count of weeks began again


class Fix(NamedTuple):
    """A valid position.

    Args:
        clock: Seconds on the clock of the camera that wrote the sentence down; None without one.
        time: Seconds since 1970 in UTC; None in a GGA, which has no date.
        latitude: Degrees.
        longitude: Degrees.
    """

    clock: float | None
    time: float | None
    latitude: float
    longitude: float


def parse_nmea(lines: Iterable[str], *, source: object) -> Iterator[Fix]:
    """Yield the valid fixes of a log; damaged sentences, and those without a fix, are skipped.

    Args:
        lines: Sentences, in BlackVue's films each after the camera's clock in milliseconds,
            `[1623057074211]$GPRMC,...`.
        source: Their file, for messages.

    Raises:
        ValueError: If pynmea2 is not installed, or a date is before 2000.
    """
    try:
        import pynmea2
    except ModuleNotFoundError:
        raise ValueError(f"{source}: NMEA logs are read by pynmea2: {INSTALL}") from None
    for line in lines:
        match = SENTENCE.search(line)
        try:
            if match is None:
                continue
            sentence = pynmea2.parse(match[2])
            is_dated = sentence.sentence_type == "RMC"
            # Not by is_valid, which refuses receivers that say nothing on navigation (u-blox).
            is_fixed = sentence.status == "A" if is_dated else sentence.gps_qual in FIXED
            if not is_fixed:  # its numbers may still look like a place
                continue
            degrees = sentence.lat, sentence.lon
            if f"{sentence.lat_dir}{sentence.lon_dir}" not in DIRECTIONS or not all(degrees):
                continue  # pynmea2 says 0 degrees
            place = sentence.latitude, sentence.longitude
            day = datetime.combine(sentence.datestamp, sentence.timestamp) if is_dated else None
        except (pynmea2.ParseError, ValueError, TypeError):
            continue
        if day is not None and day.year < FIRST_YEAR:
            raise ValueError(
                f"{source}: is dated {day:%Y-%m-%d}: its receiver's count of weeks began again, so "
                "no time in it is right"
            )
        clock = float(match[1]) / 1000 if match[1] else None
        yield Fix(clock, day.replace(tzinfo=UTC).timestamp() if day else None, *place)
