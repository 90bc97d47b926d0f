"""Files with tracks: GPX, logs of NMEA sentences, and the positions inside films."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree

import numpy as np

from vpr.importing.collection import load_package
from vpr.importing.columns import number
from vpr.importing.exif import parse_moment
from vpr.importing.tracks import Track, make_track

SUFFIXES = (".gpx", ".nmea")
SENTENCE = re.compile(r"(?:\[(\d{1,16})\])?\s*(\$(?!P)[A-Z]{2}(?:RMC|GGA),[^\[\r\n]*)")
FIXED = range(1, 6)  # qualities of a GGA's fix; 0 is none, and 6 to 8 are estimates
DIRECTIONS = ("NE", "NW", "SE", "SW")
FIRST_YEAR = 2000  # an earlier date is of a receiver whose week counter rolled over
GPS_EPOCH_S = 315_964_800 - 18  # of GPS seconds, since 1970, less leap seconds
WORST_DILUTION = 1000  # in hundredths, of a GoPro's fix
BRACKETS = re.compile(r"\[(\d{1,16})\]")  # BlackVue's clock in milliseconds, before each sentence


def load_track(path: Path) -> Track:
    """Read a .gpx file, or as every other is, a log of NMEA sentences.

    Raises:
        ValueError: If it is damaged, or has no points with a time.
    """
    try:
        if path.suffix.lower() == ".gpx":
            return make_track(_gpx_points(path), source=path)
        with path.open(encoding="ascii", errors="replace") as lines:
            fixes = [fix for fix in parse_nmea(lines, source=path) if fix.time is not None]
        return make_track(((fix.time or 0.0, *fix[2:]) for fix in fixes), source=path)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not a readable GPX track: {error}") from None


def _gpx_points(path: Path) -> Iterator[tuple[float, float, float]]:
    """Yield time, latitude and longitude of each point that has a time."""
    for _, element in ElementTree.iterparse(path):  # noqa: S314 - expat limits what entities make
        if element.tag.rpartition("}")[2] in ("trkpt", "rtept"):
            time = parse_moment(element.findtext("{*}time") or "")
            if time is not None:
                yield time, number(element.get("lat")), number(element.get("lon"))
            element.clear()


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
    pynmea2 = load_package("pynmea2", source, reads="NMEA logs")
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
                f"{source}: is dated {day:%Y-%m-%d}: its receiver's week counter rolled over, so "
                "no time in it is right"
            )
        clock = float(match[1]) / 1000 if match[1] else None
        yield Fix(clock, day.replace(tzinfo=UTC).timestamp() if day else None, *place)


def read_telemetry(film: Path) -> tuple[Track, float | None]:
    """Read the positions inside a film, by seconds since its start.

    Returns:
        The track, and when the film began in seconds since 1970, if its satellites told.

    Raises:
        ValueError: If it has none, or mapillary_tools is not installed.
    """
    gopro, camm, boxes = (
        load_package(f"mapillary_tools.{name}", film, reads="positions in films without --track")
        for name in ("gpmf.gpmf_parser", "camm.camm_parser", "mp4.simple_mp4_parser")
    )
    for extract in (gopro.extract_gopro_info, camm.extract_camm_info):
        info = _try(extract, film)
        points = [*(info.gps or ()), *(getattr(info, "mini_gps", None) or ())] if info else []
        points = [point for point in points if _is_fixed(point)]
        if len(points) > 1:
            track = make_track(((p.time, p.lat, p.lon) for p in points), source=film)
            return track, _find_start(points)
    log = _try(lambda file: boxes.parse_mp4_data_first(file, [b"free", b"gps "]), film)
    found = _read_blackvue(log.decode("ascii", errors="replace"), film) if log else None
    if found is None:
        raise ValueError(f"{film}: has no positions inside: --track names a GPX or NMEA file")
    return found


def _try(extract: Callable[[BinaryIO], Any], film: Path) -> Any:  # noqa: ANN401
    """Extract something from a film; None if it has no such thing, or a damaged one."""
    try:
        with film.open("rb") as file:
            return extract(file)
    except Exception:  # damaged bytes raise many kinds
        return None


def _read_blackvue(log: str, film: Path) -> tuple[Track, float | None] | None:
    """Read sentences with the camera's clock, whose first was written as the film began.

    The parser of mapillary_tools begins with the first fix, as if the film did so too.
    """
    first = BRACKETS.search(log)
    fixes = [fix for fix in parse_nmea(log.splitlines(), source=film) if fix.clock is not None]
    fixes = [fix for fix in fixes if fix.time is not None] or fixes  # with a date, if any has one
    if first is None or len(fixes) < 2:
        return None
    begin = int(first[1]) / 1000
    starts = [fix.time - (fix.clock - begin) for fix in fixes if fix.time and fix.clock]
    points = ((fix.clock - begin, *fix[2:]) for fix in fixes if fix.clock)
    return make_track(points, source=film), float(np.median(starts)) if starts else None


def _is_fixed(point: Any) -> bool:  # noqa: ANN401 - mapillary_tools is optional
    fix, dilution = getattr(point, "fix", None), getattr(point, "precision", None)
    is_fixed = fix is None or fix.value > 0
    return is_fixed and (dilution is None or dilution < WORST_DILUTION)


def _find_start(points: list[Any]) -> float | None:
    """Find when a film began, since 1970, from its points; None if none has a time.

    A GoPro up to the HERO10 gives the time of the first point of each packet, and the library gives
    it to all of the packet; those without a time get one that is up to a packet late.
    """
    timed = [(epoch, point.time) for point in points if (epoch := _epoch_of(point)) is not None]
    first = {epoch: epoch - time for epoch, time in reversed(timed)}
    counts = Counter(epoch for epoch, _ in timed)
    starts = [start for epoch, start in first.items() if counts[epoch] > 1] or [*first.values()]
    return float(np.median(starts)) if starts else None


def _epoch_of(point: Any) -> float | None:  # noqa: ANN401
    """Time of a point since 1970, which CAMM tells in the GPS's own seconds."""
    seconds = getattr(point, "time_gps_epoch", 0)
    return getattr(point, "epoch_time", None) or (seconds + GPS_EPOCH_S if seconds > 0 else None)
