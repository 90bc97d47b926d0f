"""Positions inside films: of GoPro, CAMM and BlackVue, by mapillary_tools."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vpr.importing.nmea import parse_nmea
from vpr.importing.tracks import Track, make_track

INSTALL = "pip install mapillary_tools==0.14.7"
GPS_EPOCH_S = 315_964_800 - 18  # of GPS seconds, since 1970, less leap seconds
WORST_DILUTION = 1000  # in hundredths, of a GoPro's fix
BRACKETS = re.compile(r"\[(\d{1,16})\]")  # BlackVue's clock in milliseconds, before each sentence


def read_telemetry(film: Path) -> tuple[Track, float | None] | None:
    """Read the positions inside a film, by seconds since its start; None if it has none.

    Returns:
        The track, and when the film began in seconds since 1970, if its satellites told.

    Raises:
        ValueError: If mapillary_tools is not installed.
    """
    try:
        from mapillary_tools.camm import camm_parser
        from mapillary_tools.gpmf import gpmf_parser
        from mapillary_tools.mp4.simple_mp4_parser import parse_mp4_data_first
    except ModuleNotFoundError:
        raise ValueError(
            f"{film}: which positions? --track names a GPX or NMEA file; those of GoPros and "
            f"dashcams are read by mapillary_tools: {INSTALL}"
        ) from None
    for extract in (gpmf_parser.extract_gopro_info, camm_parser.extract_camm_info):
        info = _try(extract, film)
        points = [*(info.gps or ()), *(getattr(info, "mini_gps", None) or ())] if info else []
        points = [point for point in points if _is_fixed(point)]
        if len(points) > 1:
            track = make_track(((p.time, p.lat, p.lon) for p in points), source=film)
            return track, _find_start(list(_epochs(points)))
    log = _try(lambda file: parse_mp4_data_first(file, [b"free", b"gps "]), film)
    return _read_blackvue(log.decode("ascii", errors="replace"), film) if log else None


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


def _find_start(epochs: list[tuple[Any, float]]) -> float | None:
    """Find when a film began, from points and their times since 1970; None if there are none.

    A GoPro up to the HERO10 tells the time of the first point of each packet, and the library gives
    it to all of the packet; those without a time get one that is up to a packet late.
    """
    first = {epoch: epoch - point.time for point, epoch in reversed(epochs)}
    counts = Counter(epoch for _, epoch in epochs)
    starts = [start for epoch, start in first.items() if counts[epoch] > 1] or [*first.values()]
    return float(np.median(starts)) if starts else None


def _epochs(points: list[Any]) -> Iterator[tuple[Any, float]]:
    """Yield points with their time since 1970; CAMM gives the GPS's own seconds."""
    for point in points:
        epoch = getattr(point, "epoch_time", None)
        if epoch:
            yield point, epoch
        elif getattr(point, "time_gps_epoch", 0) > 0:
            yield point, point.time_gps_epoch + GPS_EPOCH_S
