"""The path of a drive as text, as a page and as files for other programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from vpr.locating.matches import Position
from vpr.locating.tracking import Tracked
from vpr.report.pages import TEMPLATES, load_templates

WIDTH_PX, MARGIN_PX = 900, 30
MOST_POINTS = 3000  # of the database, in the page's map
GPX = "http://www.topografix.com/GPX/1/1"


def as_text(path: Sequence[Tracked]) -> str:
    """A line for each photo, and how many are in each state."""
    counts = Counter(of.state for of in path)
    states = ", ".join(f"{counts[state]} {state}" for state in ("known", "unsure", "unknown"))
    return "\n".join([*map(_line, path), f"{len(path)} photos: {states}"])


def _line(of: Tracked) -> str:
    name = of.photo if of.photo.isprintable() else repr(of.photo)
    if (at := of.position) is None:
        return f"{name}: unknown: off the map with a probability of {of.off_map:.3f}"
    globe = "" if at.latitude is None else f"  {at.latitude:.6f}, {at.longitude:.6f}"
    circle = "" if at.uncertainty_m is None else f", 90 % within {at.uncertainty_m:.0f} m"
    return (
        f"{name}: {of.state}, probability {of.probability:.3f}; at {at.easting:.1f} E "
        f"{at.northing:.1f} N{globe}{circle}"
    )


def save_csv(path: Path, drive: Sequence[Tracked]) -> None:
    """Write a row for each photo; an unknown one has no position."""
    names = [field.name for form in (Tracked, Position) for field in fields(form)]
    names.remove("position")
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        for of in drive:
            row = asdict(of)
            table.writerow(row | (row.pop("position") or {}))


def stretches(drive: Sequence[Tracked]) -> Iterator[list[tuple[Tracked, Position]]]:
    """Yield the parts of a drive between those that are unknown."""
    for is_unknown, part in groupby(drive, lambda of: of.position is None):
        if not is_unknown:
            yield [(of, of.position) for of in part if of.position is not None]


def save_geojson(path: Path, drive: Sequence[Tracked]) -> None:
    """Write a line for each part that is known, and a point for each photo (RFC 7946).

    The point of an unknown photo has no geometry.
    """
    lines = [
        _feature("LineString", [_degrees(at) for _, at in part], {})
        for part in stretches(drive)
        if len(part) > 1
    ]
    points = [
        _feature("Point", _degrees(of.position) if of.position else None, {
            "photo": of.photo, "time": of.time, "state": of.state, "probability": of.probability,
            "off_map": of.off_map, "uncertainty_m": of.position and of.position.uncertainty_m,
        })
        for of in drive
    ]  # fmt: skip
    content = {"type": "FeatureCollection", "features": lines + points}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _degrees(at: Position) -> list[float | None]:
    return [at.longitude, at.latitude]


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any depth of lists
    geometry = None if coordinates is None else {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def save_gpx(path: Path, drive: Sequence[Tracked]) -> None:
    """Write a track with a segment for each part that is known (GPX 1.1)."""
    root = ElementTree.Element("gpx", version="1.1", creator="python -m vpr track", xmlns=GPX)
    track = ElementTree.SubElement(root, "trk")
    for part in stretches(drive):
        segment = ElementTree.SubElement(track, "trkseg")
        for of, at in part:
            place = {"lat": f"{at.latitude:.7f}", "lon": f"{at.longitude:.7f}"}
            point = ElementTree.SubElement(segment, "trkpt", place)
            if of.time is not None:
                moment = datetime.fromtimestamp(of.time, UTC).isoformat(timespec="milliseconds")
                ElementTree.SubElement(point, "time").text = moment.replace("+00:00", "Z")
            words = (
                f"{of.state}, probability {of.probability:.3f}, 90 % within {at.uncertainty_m} m"
            )
            ElementTree.SubElement(point, "cmt").text = words
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_page(path: Path, drive: Sequence[Tracked], database: NDArray[np.float64]) -> None:
    """Write a page with the path; it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        drive: The photos, in order.
        database: Easting and northing of the database's places, shape (num_places, 2).
    """
    parts = list(stretches(drive))
    seen = [(at.easting, at.northing) for part in parts for _, at in part]
    every = np.concatenate([database, np.array(seen).reshape(-1, 2)])
    low, extent = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1.0)
    scale = (WIDTH_PX - 2 * MARGIN_PX) / extent.max()
    height = round(extent[1] * scale) + 2 * MARGIN_PX

    def pixels(place: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
        east, north = (np.asarray(place) - low) * scale
        return round(float(east) + MARGIN_PX, 1), round(height - MARGIN_PX - float(north), 1)

    bar_m = 10 ** int(np.log10(extent.max() / 2))
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = load_templates(Path(__file__).parent).get_template("page.html")
    text = page.render(
        style=Markup(style),  # noqa: S704 - our own style
        drive=drive, counts=Counter(of.state for of in drive), width=WIDTH_PX, height=height,
        parts=[
            [(of, *pixels((at.easting, at.northing)), (at.uncertainty_m or 0.0) * scale)
             for of, at in part]
            for part in parts
        ],
        database=list(map(pixels, database[:: -(-len(database) // MOST_POINTS)])),
        bar=(bar_m, round(bar_m * scale, 1)),
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
