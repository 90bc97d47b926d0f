"""Positions inside films: of GoPro, CAMM and BlackVue, by mapillary_tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vpr.importing.tracks import Track, make_track

INSTALL = "pip install mapillary_tools==0.14.7"
GPS_EPOCH_S = 315_964_800 - 18  # of GPS seconds, since 1970, less leap seconds
WORST_DILUTION = 1000  # in hundredths, of a GoPro's fix


def read_telemetry(film: Path) -> tuple[Track, float | None] | None:
    """Read the positions inside a film, by seconds since its start; None if it has none.

    Returns:
        The track, and when the film began in seconds since 1970, if its satellites told.

    Raises:
        ValueError: If mapillary_tools is not installed.
    """
    try:
        from mapillary_tools import blackvue_parser
        from mapillary_tools.camm import camm_parser
        from mapillary_tools.gpmf import gpmf_parser
    except ModuleNotFoundError:
        raise ValueError(
            f"{film}: which positions? --track names a GPX file; those of GoPros and dashcams are "
            f"read by mapillary_tools: {INSTALL}"
        ) from None
    for extract in (
        gpmf_parser.extract_gopro_info, camm_parser.extract_camm_info,
        blackvue_parser.extract_blackvue_info,
    ):  # fmt: skip
        points: list[Any] = []
        try:
            with film.open("rb") as file:
                info = extract(file)
        except Exception:  # damaged bytes raise many kinds
            info = None
        if info is not None:
            points = [*(info.gps or ()), *(getattr(info, "mini_gps", None) or ())]
        points = [point for point in points if _is_fixed(point)]
        if len(points) > 1:
            starts = [epoch - point.time for point, epoch in _epochs(points)]
            track = make_track(((p.time, p.lat, p.lon) for p in points), source=film)
            return track, float(np.median(starts)) if starts else None
    return None


def _is_fixed(point: Any) -> bool:  # noqa: ANN401 - mapillary_tools is optional
    fix, dilution = getattr(point, "fix", None), getattr(point, "precision", None)
    is_fixed = fix is None or fix.value > 0
    return is_fixed and (dilution is None or dilution < WORST_DILUTION)


def _epochs(points: list[Any]) -> Iterator[tuple[Any, float]]:
    """Yield points with their time since 1970; CAMM gives the GPS's own seconds."""
    for point in points:
        epoch = getattr(point, "epoch_time", None)
        if epoch:
            yield point, epoch
        elif getattr(point, "time_gps_epoch", 0) > 0:
            yield point, point.time_gps_epoch + GPS_EPOCH_S
