"""Files beside photos that say where these were taken: Google Takeout, Apple Photos, OpenSfM."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vpr.importing.collection import NO_POSITION
from vpr.importing.exif import ZERO, Taken, parse_position

TAKEOUT_END = ".supplemental-metadata"
TAKEOUT_LETTERS = 46  # that the name of a sidecar keeps, without .json
COPY = re.compile(r"(.+)(\(\d+\))(\.[^.]+)")  # IMG(1).jpg
EDITED = re.compile(r"(.+)-[^\W\d_]+(?: [^\W\d_]+)*")  # IMG-edited, IMG-ha editado
OVERRIDES = "exif_overrides.json"
MOST_BYTES = 2**20  # of a sidecar
XMP_VALUE = r'exif:{}\s*(?:=\s*["\']|>)\s*([^"\'<]{{1,40}})'

Names = Mapping[str, Path]  # the files of a folder by name


def find_takeout(photo: str, names: Names) -> Path | None:
    """Find the sidecar that Google Takeout writes for a photo, whose name it derives and cuts.

    Args:
        photo: The photo's name.
        names: The files of its folder.
    """
    found = next((names[name] for name in _takeout_names(photo) if name in names), None)
    if found is None:
        stem, suffix = Path(photo).stem, Path(photo).suffix
        edited = EDITED.fullmatch(stem)
        if edited and edited[1] + suffix in names:
            return find_takeout(edited[1] + suffix, names)
    return found


def read_takeout(sidecar: Path, photo: str) -> Taken:
    """Read a sidecar of Google Takeout: the position that the user set, else that of the camera."""
    content = _load(sidecar)
    title = content.get("title")
    if isinstance(title, str) and not _may_be(title, photo):
        return Taken(problem="whose sidecar is that of another photo")
    moment = content.get("photoTakenTime")
    stamp = moment.get("timestamp") if isinstance(moment, dict) else None
    time = float(stamp) if isinstance(stamp, str) and stamp.lstrip("-").isdecimal() else None
    problem = NO_POSITION
    for key in ("geoData", "geoDataExif"):
        place = content.get(key)
        if isinstance(place, dict):
            at, problem = parse_position(
                _signed(place.get("latitude")), "N", _signed(place.get("longitude")), "E"
            )
            if at is not None:
                return Taken(at, time=time, has_zone=time is not None)
    words = NO_POSITION if problem == ZERO else problem
    return Taken(problem=words, time=time, has_zone=time is not None)


def read_xmp(text: str) -> Taken:
    """Read the position in XMP data, as Apple Photos exports them."""
    found = [re.search(XMP_VALUE.format(name), text) for name in ("GPSLatitude", "GPSLongitude")]
    values = [match[1] if match else None for match in found]
    at, problem = parse_position(values[0], None, values[1], None)
    return Taken(at, problem)


def read_beside(photo: Path, names: Names) -> Taken | None:
    """Read the sidecar of a photo; None if it has none."""
    takeout = find_takeout(photo.name, names)
    if takeout is not None:
        return read_takeout(takeout, photo.name)
    for name in (f"{photo.name}.xmp", f"{photo.stem}.xmp", f"{photo.name}.XMP"):
        if name in names and names[name].stat().st_size <= MOST_BYTES:
            return read_xmp(names[name].read_text(encoding="utf-8", errors="replace"))
    return None


def load_overrides(folder: Path) -> dict[str, Taken]:
    """Load OpenSfM's positions by the names of its photos, if a folder has them."""
    found = {}
    for name, facts in _load(folder / OVERRIDES).items():
        gps = facts.get("gps") if isinstance(facts, dict) else None
        if isinstance(gps, dict):
            at, problem = parse_position(
                _signed(gps.get("latitude")), "N", _signed(gps.get("longitude")), "E"
            )
            found[name] = Taken(at, problem, accuracy_m=_signed(gps.get("dop")))
    return found


def _takeout_names(photo: str) -> Iterator[str]:
    copy = COPY.fullmatch(photo)
    names = [(photo, "")] + ([(copy[1] + copy[3], copy[2])] if copy else [])
    names += [(name[:-1], number) for name, number in names]  # IMG.JP.supplemental-metadata.json
    for name, number in names:
        for full in (name + TAKEOUT_END, name):
            yield f"{full[:TAKEOUT_LETTERS]}{number}.json"
            yield f"{full[: TAKEOUT_LETTERS - len(number)]}{number}.json"
        for length in range(len(name + TAKEOUT_END) - 1, len(name), -1):  # cut by other limits
            yield f"{(name + TAKEOUT_END)[:length]}{number}.json"


def _may_be(title: str, photo: str) -> bool:
    """Return whether a photo of this title may have got this name: cut, cleaned and numbered."""
    plain = [re.sub(r"[\W_]+", "", Path(name).stem.casefold()) for name in (title, photo)]
    copy = COPY.fullmatch(photo)
    edited = EDITED.fullmatch(Path(photo).stem)
    others = [copy[1] if copy else "", edited[1] if edited else ""]
    plain += [re.sub(r"[\W_]+", "", other.casefold()) for other in others if other]
    return any(plain[0].startswith(name) for name in plain[1:])


def _signed(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > 64 * MOST_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
