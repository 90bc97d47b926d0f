"""Located photos as text and as files for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from vpr.evaluation.calibration import State
from vpr.locating.matches import Located, Match

# Of a match: the first two if the run verifies, the third if the photo's heading is known.
OPTIONAL = ("inliers", "log10_nfa", "heading")
TRUTH = ("metres", "correct")  # of a match of the set's own query


def check_targets(targets: Mapping[str, Path], *, sheet_px: tuple[int, int]) -> None:
    """Check, before anything is computed for them, that files can be written.

    Args:
        targets: The files by the options that name them.
        sheet_px: Width and height of the picture that `--show` names.

    Raises:
        ValueError: If one is a folder, lies in none or where nothing may be written, or its
            option is `--show` and its name ends as no picture's does, or as one that holds none
            so large.
    """
    for option, path in targets.items():
        if path.is_dir():
            raise ValueError(f"{option} {path}: expected a file to write, found a folder")
        if not path.parent.is_dir():
            raise ValueError(f"{option} {path}: there is no folder {path.parent}: create it first")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ValueError(f"{option} {path}: writing is not permitted there")
        if option == "--show":
            _check_picture(path, sheet_px)


def _check_picture(path: Path, size_px: tuple[int, int]) -> None:
    width, height = size_px
    if not _can_be_saved(path, (1, 1)):  # no such format, or one that is only read
        raise ValueError(
            f"--show {path}: expected a picture's ending, such as .png or .jpg, found "
            f"{path.suffix!r}"
        )
    if not (_can_be_saved(path, (width, 1)) and _can_be_saved(path, (1, height))):
        raise ValueError(
            f"--show {path}: {width}x{height} pixels are more than this format holds: "
            "choose a name that ends in .png, or fewer photos"
        )


def _can_be_saved(path: Path, size_px: tuple[int, int]) -> bool:
    form = Image.registered_extensions().get(path.suffix.lower())
    try:
        Image.new("RGB", size_px).save(io.BytesIO(), form or path.suffix)
    except (KeyError, OSError, ValueError):
        return False
    return True


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
    """Write a list with an object for each photo; of `OPTIONAL` and `TRUTH`, what is known."""
    content = [asdict(one) for one in located]
    for one in content:
        one["matches"] = list(map(_without_none, one["matches"]))
    return json.dumps(content, indent=2, ensure_ascii=False)


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
    """Write a point for each match (RFC 7946: longitude first, WGS 84); none may lack its place."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [match.longitude, match.latitude]},
            "properties": _without_none({
                "query": one.photo, "rank": match.rank, "database": match.database,
                "distance": match.distance, "state": one.state, "inliers": match.inliers,
                "log10_nfa": match.log10_nfa, "heading": match.heading,
            }),
        }
        for one in located
        for match in one.matches
    ]  # fmt: skip
    content = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
