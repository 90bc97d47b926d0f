"""Located photos as text and as files for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from vpr.evaluation.calibration import State
from vpr.locating.matches import Located, Match, Places

# Of a match: the first two if the run verifies, the third if the photo's heading is known.
OPTIONAL = ("inliers", "log10_nfa", "heading")
TRUTH = ("metres", "correct")  # of a match of the set's own query


def check_targets(
    targets: Mapping[str, Path | None], *, sheet_px: tuple[int, int] | None = None
) -> None:
    """Check, before anything is computed for them, that files can be written.

    Args:
        targets: The files by the options that name them; None: not given.
        sheet_px: Width and height of the picture that `--show` names.

    Raises:
        ValueError: If one is a folder, its folder is missing or not writable, or the format of the
            picture that `--show` names cannot hold its size.
    """
    for option, path in targets.items():
        if path is None:
            continue
        if path.is_dir():
            raise ValueError(f"{option} {path}: expected a file to write, found a folder")
        if not path.parent.is_dir():
            raise ValueError(f"{option} {path}: there is no folder {path.parent}: create it first")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ValueError(f"{option} {path}: writing is not permitted there")
        if option == "--show" and sheet_px:
            _check_picture(path, sheet_px)


def _check_picture(path: Path, size_px: tuple[int, int]) -> None:
    width, height = size_px
    form = Image.registered_extensions().get(path.suffix.lower(), path.suffix)
    try:
        for size in ((width, 1), (1, height)):  # formats limit each side
            Image.new("RGB", size).save(io.BytesIO(), form)
    except (KeyError, OSError, ValueError):
        raise ValueError(
            f"--show {path}: expected a picture's ending, such as .png or .jpg, of a format that "
            f"holds {width}x{height} pixels, found {path.suffix!r}: choose .png, or fewer photos"
        ) from None


def require_globe(options: Mapping[str, Path | None], places: Places) -> None:
    """Check that the places lie on the globe if files in degrees are asked for.

    Raises:
        ValueError: If they do not.
    """
    for option in ("--geojson", "--gpx"):
        if options.get(option) and places.globe is None:
            raise ValueError(
                f"{option}: needs longitude and latitude: set dataset.crs in params.yaml to the "
                "coordinates' reference system, such as EPSG:32633, and run `dvc repro`"
            )


def print_text(text: str) -> None:
    """Print text, with ? for letters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding))


VERDICTS: dict[State | None, str] = {
    "known": "known place",
    "unsure": "unsure: on the map, but which place is unclear",
    "unknown": "unknown: no place of the map matches well enough",
    None: "not calibrated, see docs/trust.md",
}


def as_text(located: Located) -> str:
    """Lines for a terminal; a name that would move its cursor or break the line is quoted."""
    return "\n".join([f"{_shown(located.photo)}: {verdict(located)}", *map(_line, located.matches)])


def verdict(located: Located) -> str:
    """Put in words what is concluded about a photo."""
    words = VERDICTS[located.state]
    if located.probability is not None and located.state != "unknown":
        words += f", probability {located.probability:.3f}"
    if (position := located.position) is not None:
        words += f"; at {position.easting:.1f} E {position.northing:.1f} N"
        if position.uncertainty_m is not None:
            words += f", 90 % within {position.uncertainty_m:.0f} m"
    return words


def _line(match: Match) -> str:
    globe = f"  {match.latitude:.6f}, {match.longitude:.6f}" if match.latitude is not None else ""
    known = ""
    if match.correct is not None:
        known = f"  {'right' if match.correct else 'wrong'}, {match.metres:,.1f} m away"
    looks = "" if match.heading is None else f"  looks {match.heading:.0f}°"
    verified = "" if match.inliers is None else f"{match.inliers:4d} inliers  "
    place = ""
    if match.easting is not None:
        place = f"{match.easting:.1f} E {match.northing:.1f} N{globe}"
    return (
        f"  {match.rank:2d}  distance {match.distance:.4f}  {verified}{place}{looks}  "
        f"{_shown(match.database)}{known}"
    )


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)


def as_json(located: Sequence[Located]) -> str:
    """Write a list with an object for each photo."""
    return json.dumps(as_plain(located), indent=2, ensure_ascii=False)


def as_plain(located: Sequence[Located]) -> list[dict[str, Any]]:
    """List the values of each photo for JSON; of `OPTIONAL` and `TRUTH`, only known ones."""
    content = [asdict(one) for one in located]
    for one in content:
        one["matches"] = list(map(_without_none, one["matches"]))
    return content


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    left_out = (*OPTIONAL, *TRUTH)
    return {name: of for name, of in values.items() if name not in left_out or of is not None}


def save_csv(path: Path, located: Sequence[Located]) -> None:
    """Write a row for each match, with those columns of `OPTIONAL` that a match has.

    The others are `query,state,probability,rank,database,distance,metres,correct`: the second and
    third are empty where they are not calibrated, the last two where they are unknown.
    """
    names = ["rank", "database", "distance", *TRUTH]
    matches = [match for one in located for match in one.matches]
    names += [
        name for name in OPTIONAL if any(getattr(match, name) is not None for match in matches)
    ]
    rows = [
        (one.photo, one.state, one.probability, *(getattr(match, name) for name in names))
        for one in located
        for match in one.matches
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["query", "state", "probability", *names])
        table.writerows(rows)


def save_geojson(path: Path, located: Sequence[Located]) -> None:
    """Write a point for each match; every match must have coordinates."""
    write_features(path, [
        feature("Point", [match.longitude, match.latitude], _without_none({
            "query": one.photo, "rank": match.rank, "database": match.database,
            "distance": match.distance, "state": one.state, "inliers": match.inliers,
            "log10_nfa": match.log10_nfa, "heading": match.heading,
        }))
        for one in located
        for match in one.matches
    ])  # fmt: skip


def feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any depth of lists
    """Make a feature of GeoJSON (RFC 7946: longitude first, WGS 84); it may have no place."""
    geometry = None if coordinates is None else {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def write_features(path: Path, features: Sequence[dict[str, Any]]) -> None:
    """Write a file of GeoJSON."""
    content = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
