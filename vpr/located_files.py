"""Located photos as text and as files for other programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vpr.locating import Located, Match


def as_text(located: Located) -> str:
    """Lines for a terminal."""
    verdict = "accepted" if located.accepted else "not accepted: perhaps an unknown place"
    return "\n".join([f"{located.photo}: {verdict}", *map(_line, located.matches)])


def _line(match: Match) -> str:
    globe = f"  {match.latitude:.6f}, {match.longitude:.6f}" if match.latitude is not None else ""
    known = ""
    if match.correct is not None:
        known = f"  {'right' if match.correct else 'wrong'}, {match.metres:,.1f} m away"
    return (
        f"  {match.rank:2d}  distance {match.distance:.4f}  {match.easting:.1f} E "
        f"{match.northing:.1f} N{globe}  {match.database}{known}"
    )


def as_json(located: Sequence[Located]) -> str:
    """A list with an object for each photo."""
    return json.dumps([asdict(one) for one in located], indent=2, ensure_ascii=False)


def save_csv(path: Path, located: Sequence[Located]) -> None:
    """Write `query,rank,database,distance,metres,correct`; the last two are empty where unknown."""
    rows = [
        (one.photo, match.rank, match.database, match.distance, match.metres, match.correct)
        for one in located
        for match in one.matches
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["query", "rank", "database", "distance", "metres", "correct"])
        table.writerows(rows)


def save_geojson(path: Path, located: Sequence[Located]) -> None:
    """Write a point for each match (RFC 7946: longitude first, WGS 84).

    Raises:
        ValueError: If the data set names no reference system.
    """
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [match.longitude, match.latitude]},
            "properties": {
                "query": one.photo, "rank": match.rank, "database": match.database,
                "distance": match.distance, "accepted": one.accepted,
            },
        }
        for one in located
        for match in one.matches
    ]  # fmt: skip
    if any(match.longitude is None for one in located for match in one.matches):
        raise ValueError(
            f"{path}: GeoJSON needs longitude and latitude: set dataset.crs in params.yaml to what "
            "the coordinates are in, such as EPSG:32633"
        )
    content = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
