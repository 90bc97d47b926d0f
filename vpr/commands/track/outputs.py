"""The path of a drive as text, as a page and as files for other programs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from vpr.commands.locate.outputs import feature, write_features
from vpr.locating.drives import Tracked
from vpr.locating.matches import Places, Position
from vpr.report.pages import write_single_page
from vpr.web.parts import SHARED_SCRIPTS, SHARED_STYLES, WEB

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
        feature("LineString", [_degrees(at) for _, at in part], {})
        for part in stretches(drive)
        if len(part) > 1
    ]
    points = [
        feature("Point", _degrees(of.position) if of.position else None, {
            "photo": of.photo, "time": of.time, "state": of.state, "probability": of.probability,
            "off_map": of.off_map, "uncertainty_m": of.position and of.position.uncertainty_m,
        })
        for of in drive
    ]  # fmt: skip
    write_features(path, lines + points)


def _degrees(at: Position) -> list[float | None]:
    return [at.longitude, at.latitude]


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


def write_page(path: Path, drive: Sequence[Tracked], places: Places) -> None:
    """Write a page with the path on the service's map; it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        drive: The photos, in order.
        places: The database's places.
    """
    some = slice(None, None, -(-len(places.database.paths) // MOST_POINTS))
    easting, northing = places.database.coordinates[some].round(2).T.tolist()
    globe = None if places.globe is None else places.globe[some].round(7).T.tolist()
    latitude, longitude = (None, None) if globe is None else globe
    ours = Path(__file__).parent
    scripts = [*(WEB / name for name in SHARED_SCRIPTS), ours / "page.js"]
    write_single_page(
        path, ours, drive=drive, counts=Counter(of.state for of in drive),
        photos=list(map(asdict, drive)),
        places={
            "easting": easting, "northing": northing, "latitude": latitude, "longitude": longitude,
        },
        styles=[_read(WEB / name) for name in SHARED_STYLES], scripts=map(_read, scripts),
    )  # fmt: skip


def _read(file: Path) -> Markup:
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - our own styles and scripts
